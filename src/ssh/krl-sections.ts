import { krlLimit, krlSubsection } from './krl.ts';
import { difference, halves, highHalf, lowHalf } from './krl-serials.ts';
import type { SerialRuns } from './krl-serials.ts';

const list = 0;
const range = 1;
const bitmap = 2;
type Form = typeof list | typeof range | typeof bitmap;
const formBits = 3;
/** Set where a run opens a subsection of its form instead of continuing the one before. */
const opens = 4;

// Costs in bits (PROTOCOL.krl). A subsection starts with its type and length: 40. A bitmap adds its offset (64) and the
// length of its mpint with the byte that keeps it positive (40).
const listOpen = 40;
const listSerial = 64;
const rangeRun = 168;
const bitmapOpen = 144;

/**
 * The subsections that hold these serials in the fewest bytes, by a shortest path over the runs from left to right, in time
 * linear in their number. A subsection is never empty, and a bitmap never exceeds `krlLimit.bitmapBits`.
 * @param runs in normal form
 */
export function encodeSerials(runs: SerialRuns): Buffer {
  const plan = planForms(runs);
  const out = Buffer.allocUnsafe(plan.sizeBytes);
  let offset = 0;
  for (let start = 0; start < runs.firsts.length;) {
    let end = start + 1;
    while (end < runs.firsts.length && ((plan.forms[end] ?? 0) & opens) === 0) end += 1;
    const form = (plan.forms[start] ?? 0) & formBits;
    const write = form === list ? writeList : form === range ? writeRange : writeBitmap;
    offset = write(out, offset, runs, start, end);
    start = end;
  }
  return out.subarray(0, offset);
}

/** One byte for each run: its form, and `opens`. `sizeBytes` is what they need at most. */
function planForms(runs: SerialRuns): { forms: Uint8Array; sizeBytes: number } {
  const count = runs.firsts.length;
  const forms = new Uint8Array(count);
  const steps = new Uint8Array(count);
  const [f, l] = [halves(runs.firsts), halves(runs.lasts)];
  // The cheapest way to hold all runs so far with the last one in a list, as a range, or in a bitmap that began at `origin`.
  let [listCost, rangeCost, bitmapCost] = [Infinity, Infinity, Infinity];
  let origin = 0;
  let best: Form = list;
  let bestCost = 0;
  for (let i = 0; i < count; i += 1) {
    const serials = difference(l, i, f, i) + 1;
    const continueList = listCost + listSerial * serials;
    const openList = bestCost + listOpen + listSerial * serials;
    const width = difference(l, i, f, origin) + 1;
    const continueBitmap =
      i > 0 && width <= krlLimit.bitmapBits ? bitmapCost + difference(l, i, l, i - 1) : Infinity;
    const openBitmap = serials <= krlLimit.bitmapBits ? bestCost + bitmapOpen + serials : Infinity;
    steps[i] = stepOf(best, continueList <= openList, continueBitmap <= openBitmap);
    rangeCost = bestCost + rangeRun;
    listCost = Math.min(continueList, openList);
    bitmapCost = Math.min(continueBitmap, openBitmap);
    if (openBitmap < continueBitmap) origin = i;
    best =
      listCost <= rangeCost
        ? listCost <= bitmapCost
          ? list
          : bitmap
        : rangeCost <= bitmapCost
          ? range
          : bitmap;
    bestCost = Math.min(listCost, rangeCost, bitmapCost);
  }
  let form = best;
  for (let i = count - 1; i >= 0; i -= 1) {
    const step = steps[i] ?? 0;
    const continues = (form === list && (step & 4) !== 0) || (form === bitmap && (step & 8) !== 0);
    forms[i] = continues ? form : form | opens;
    if (!continues) form = (step & formBits) as Form;
  }
  return { forms, sizeBytes: Math.ceil(bestCost / 8) };
}

/** How each form of a run was reached: continued (bit 2 list, bit 3 bitmap), or opened after the then best form (bits 0-1). */
function stepOf(best: Form, listContinues: boolean, bitmapContinues: boolean): number {
  return best | (listContinues ? 4 : 0) | (bitmapContinues ? 8 : 0);
}

type Write = (out: Buffer, offset: number, runs: SerialRuns, start: number, end: number) => number;

const writeList: Write = (out, offset, runs, start, end) => {
  const [f, l] = [halves(runs.firsts), halves(runs.lasts)];
  // A DataView, because V8 compiles its big-endian stores to single instructions.
  const view = new DataView(out.buffer, out.byteOffset, out.length);
  let next = offset + 5;
  for (let i = start; i < end; i += 1) {
    let low = f[2 * i + lowHalf] ?? 0;
    let high = f[2 * i + highHalf] ?? 0;
    for (let left = difference(l, i, f, i); left >= 0; left -= 1) {
      view.setUint32(next, high);
      view.setUint32(next + 4, low);
      next += 8;
      low = (low + 1) >>> 0;
      if (low === 0) high += 1;
    }
  }
  writeHead(out, offset, krlSubsection.list, next);
  return next;
};

/** A range never continues: each run is a subsection of its own. */
const writeRange: Write = (out, offset, runs, start) => {
  let next = out.writeBigUInt64BE(runs.firsts[start] ?? 0n, offset + 5);
  next = out.writeBigUInt64BE(runs.lasts[start] ?? 0n, next);
  writeHead(out, offset, krlSubsection.range, next);
  return next;
};

const writeBitmap: Write = (out, offset, runs, start, end) => {
  const [f, l] = [halves(runs.firsts), halves(runs.lasts)];
  const width = difference(l, end - 1, f, start) + 1;
  // An mpint: big-endian, minimal, and with a leading zero byte where the top bit would be set (RFC 4251 section 5).
  const sizeBytes = (width >>> 3) + 1;
  let next = out.writeBigUInt64BE(runs.firsts[start] ?? 0n, offset + 5);
  next = out.writeUInt32BE(sizeBytes, next);
  const lastByte = next + sizeBytes - 1;
  out.fill(0, next, next + sizeBytes);
  for (let i = start; i < end; i += 1) {
    const lastBit = difference(l, i, f, start);
    for (let bit = difference(f, i, f, start); bit <= lastBit; bit += 1) {
      const at = lastByte - (bit >>> 3);
      out[at] = (out[at] ?? 0) | (1 << (bit & 7));
    }
  }
  writeHead(out, offset, krlSubsection.bitmap, next + sizeBytes);
  return next + sizeBytes;
};

function writeHead(out: Buffer, offset: number, type: number, end: number): void {
  out.writeUInt32BE(end - offset - 5, out.writeUInt8(type, offset));
}
