#!/usr/bin/env python3
"""Judges a bundle of the accounting log, offline: integrity, consistency, completeness.

A second implementation, written from docs/formats/log.md, checkpoint.md and bundle.md before src/accounting/verify had been
read; where the two disagreed afterwards, the paper was mended and this follows it. It shares nothing with src/. One pass, standard library only, in memory that does not
grow with the file (but for what log.md section 7 lets a log demand: runs of serials).

Exit codes: 0 verified, 1 failed, 3 incomplete, 2 the question was wrong.
"""
import argparse
import base64
import hashlib
import json
import re
import sys

from bundle_entry import Replay, check_openings, parse_entry
from bundle_note import NUMBER, Checkpoint, Deviation, Lines, PinnedKey, Range, WrongQuestion
from bundle_note import decoded, full_root, note_text, signature_fault

RANGE = NUMBER + rb" ([1-9][0-9]{0,14})"
HEADER = re.compile(rb"sallyport-bundle v1 " + RANGE)
END = re.compile(rb"sallyport-bundle-end v1 " + RANGE + rb" ([A-Za-z0-9+/]{43}=)")
TILE = re.compile(rb"tile " + NUMBER + b" " + NUMBER + rb" ([A-Za-z0-9+/]+={0,2})")


class Verifier:
    """One bundle, judged in one pass. `lines` may be any object like Lines."""

    def __init__(self, lines, pinned, held=None):
        self.lines, self.pinned, self.held = lines, pinned, held
        self.range, self.straddled, self.earlier = None, False, Range()
        self.counts = {"opened": 0, "erased": 0, "withheld": 0}
        self.first_time = self.last_time = None

    def read(self):
        """Integrity: returns when the file is as bundle.md says, or raises the first Deviation."""
        try:
            self.read_in_order()
        except Deviation as found:
            end = self.signed_end() if found.state == "failed" and self.range is not None else None
            if end is not None and end != self.range:
                raise Deviation("the range is not the one that was signed", 1) from None
            raise

    def read_in_order(self):
        match = HEADER.fullmatch(self.lines.next(part="the header"))
        if match is None:
            raise Deviation("this is not the header of a bundle", 1)
        self.range = self.start, self.stop = int(match[1]), int(match[2])
        self.checkpoint = checkpoint = Checkpoint(self.lines, self.pinned)
        if not self.lines.peek().endswith(b"\n"):
            self.lines.next(part="a signature line or a tile")
        if checkpoint.fault is not None:
            self.blame_checkpoint(checkpoint)
        if not self.start < self.stop <= checkpoint.size:
            raise Deviation("the range does not fit the log", 1)
        self.replay = Replay(self.start == 0)
        edge = []
        for level in range(6, -1, -1):  # 256^6 is the last power with at most 15 digits
            count = checkpoint.size // 256**level
            if count % 256:
                edge.append((level, count - count % 256, self.tile(level, count // 256, count % 256), self.lines.number))
        whole = Range()
        for level, _, hashes, _ in edge:
            for each in hashes:
                whole.push(8 * level, each)
        if whole.root() != checkpoint.root:
            self.blame_edge(edge)
        for level, first, hashes, _ in edge:
            self.below(level, first, hashes)
        self.read_end()

    def tile(self, level, number, count, index=None):
        line, start = self.lines.next(index, "a tile"), b"tile %d %d " % (level, number)
        raw = decoded(self.lines, line[len(start):], index) if line.startswith(start) else b""
        if len(raw) != 32 * count:
            raise Deviation(f"here should be tile {level} {number} with {count} hashes", self.lines.number, index)
        return [raw[at:at + 32] for at in range(0, len(raw), 32)]

    def below(self, level, first, hashes):
        span = 256**level
        for number, each in enumerate(hashes, first):
            begin, end = number * span, (number + 1) * span
            opened = begin < self.stop and end > self.start
            self.take_earlier(level, begin, end, each, opened)
            if not opened:
                continue
            if level == 0:
                self.entry(number, each)
                continue
            index = max(begin, self.start)
            inner = self.tile(level - 1, number, 256, index)
            if full_root(inner) != each:
                raise Deviation("the tile is not the one that was signed", self.lines.number, index)
            self.below(level - 1, number * 256, inner)

    def take_earlier(self, level, begin, end, each, opened):
        """Collects the tree over the first entries that the earlier checkpoint speaks of."""
        size = self.held.size if self.held is not None else 0
        if end <= size and begin >= self.earlier.covered:
            self.earlier.push(8 * level, each)
        elif begin < size < end and not opened:
            self.straddled = True

    def entry(self, index, leaf):
        if self.lines.next(index, "an entry") != b"entry %d" % index:
            raise Deviation(f"here should be entry {index}", self.lines.number, index)
        raw = self.lines.next(index, "an entry")
        if hashlib.sha256(b"\x00" + raw).digest() != leaf:
            raise Deviation("the entry is not the one that was signed", self.lines.number, index)
        try:
            entry, time_ms, commitments = parse_entry(raw)
            check_openings(self.lines.next(index, "openings"), commitments, self.counts)
        except ValueError as error:
            raise Deviation(str(error)[:200], self.lines.number, index) from None
        self.first_time, self.last_time = self.first_time or entry["time"], entry["time"]
        self.replay.take(index, entry, time_ms)

    def read_end(self):
        digest = base64.b64encode(self.lines.digest.digest())
        end = self.lines.next(part="the end", bound=False)
        if END.fullmatch(end) is None:
            raise Deviation("here should be the end", self.lines.number)
        if self.lines.next(part="an empty line", bound=False) != b"":
            raise Deviation("here should be an empty line", self.lines.number)
        signature = self.lines.next(part="the last signature", bound=False)
        if end != b"sallyport-bundle-end v1 %d %d %b" % (*self.range, digest):
            raise Deviation("the end is not that of what stands before it", self.lines.number - 2)
        if signature_fault(end + b"\n", [signature], self.pinned) is not None:
            raise Deviation("the end is not signed by the pinned key", self.lines.number)
        if not self.lines.at_end():
            raise Deviation("something follows the end", self.lines.number + 1)

    def signed_end(self):
        """The range in the first end that follows, if the pinned key signed it."""
        rest = self.lines.rest()
        for line in rest:
            if match := END.fullmatch(line):
                signed = next(rest, None) == b"" and signature_fault(line + b"\n", [next(rest, b"")], self.pinned) is None
                return (int(match[1]), int(match[2])) if signed else None
        return None

    def blame_checkpoint(self, note):
        """The right edge says size and root once more: if the log signed these, what differs from them is wrong."""
        line, (size, root) = 2 + note.fault, self.guess_edge()
        text = note_text(self.pinned.origin, size, root)
        if signature_fault(text, note.signatures, self.pinned) is None:
            differing = [nth for nth, each in enumerate(text.split(b"\n")) if each != note.text[nth]]
            line = 2 + differing[0] if differing else line
        # An end that says another range is looked for behind the checkpoint.
        self.lines.newest, self.lines.ahead = self.lines.peek(), None
        raise Deviation("the checkpoint is not one that the pinned key signed", line)

    def guess_edge(self):
        whole, size, above = Range(), 0, 7
        while (match := TILE.fullmatch(self.lines.peek()[:-1])) and self.lines.peek().endswith(b"\n"):
            level, index, count = int(match[1]), int(match[2]), len(match[3]) * 3 // 128
            if level >= above or count > 255:
                break
            try:
                hashes = self.tile(level, index, count)
            except Deviation:
                break
            for each in hashes:
                whole.push(8 * level, each)
            size, above = (index * 256 + count) * 256**level, level
        return size, whole.root()

    def blame_edge(self, edge):
        """The right edge does not give the root: finds the first tile that what hangs below it does not bear out."""
        suspect = None
        for level, first, hashes, line in edge:
            try:
                self.below(level, first, hashes)
            except Deviation:
                raise Deviation("the right edge is not that of the signed root", line) from None
            whole = self.start < (first + 1) * 256**level and (first + len(hashes) - 1) * 256**level < self.stop
            if not whole:
                suspect = suspect or line
        raise Deviation("the right edge is not that of the signed root", suspect or edge[0][3])


def verdict(state, detail, line=None, index=None):
    found = {"state": state, "detail": detail}
    if line is not None:
        found["line"] = line
    if index is not None:
        found["index"] = str(index)
    return found


def judge_consistency(verifier):
    held, size = verifier.held, verifier.checkpoint.size
    if held is None:
        return verdict("not_checked", "No earlier checkpoint was given to compare with.")
    if held.size > size:
        return verdict("failed", f"The log had {held.size} entries and has {size}: it was cut, or this bundle is older than the checkpoint.")
    if held.size < size and verifier.straddled:
        return verdict("incomplete", "This part of the log does not hold the hashes that the comparison needs.")
    root = verifier.checkpoint.root if held.size == size else verifier.earlier.root()
    if root != held.root:
        return verdict("failed", f"The first {held.size} entries are not those that the earlier checkpoint stands for.")
    return verdict("verified", f"The log continues the one of {held.size} entries.")


def judge_completeness(verifier, part):
    replay, whole = verifier.replay, verifier.range == (0, verifier.checkpoint.size)
    if replay.contradiction is not None:
        problem, index = replay.contradiction
        return verdict("failed", f"Entry {index} contradicts the log: {problem}.", index=index)
    if replay.doubt is not None:
        problem, index = replay.doubt
        return verdict("incomplete", f"Entry {index}: {problem}.", index=index)
    if not whole:
        return verdict("not_checked" if part else "incomplete", "This is a part of the log; nothing is said about the rest.")
    gap = replay.gap()
    if gap is not None:
        return verdict("incomplete", gap[0], index=gap[1])
    full = " More was revoked than can be remembered here: later lists were not compared with it." if replay.listed.full() else ""
    silent = "" if replay.heartbeats else " There are no heartbeats, so silence and absence look the same."
    goes_on = "" if replay.goes_on is None else " It goes on from the log %s of %s entries; what that one issued is not in here." % replay.goes_on
    return verdict("verified", "Every serial is accounted for, lists rise and hold what was revoked, time runs forward." + silent + full + goes_on)


def judge(verifier, part=False):
    """The report on a bundle, in the shape of `sallyport audit verify --json`."""
    try:
        verifier.read()
    except Deviation as found:
        unjudged = verdict("not_checked", "Integrity was not shown, so this means nothing.")
        report = {"integrity": verdict(found.state, found.detail, found.line, found.index), "consistency": unjudged, "completeness": unjudged}
        return {**report, "exitCode": 1 if found.state == "failed" else 3}
    checkpoint, (start, stop) = verifier.checkpoint, verifier.range
    report = {
        "integrity": verdict("verified", f"Entries {start} up to {stop - 1} are in the tree of size {checkpoint.size} that was signed."),
        "consistency": judge_consistency(verifier),
        "completeness": judge_completeness(verifier, part),
    }
    states = [each["state"] for each in report.values()]
    facts = {"origin": verifier.pinned.origin, "size": str(checkpoint.size), "root": base64.b64encode(checkpoint.root).decode()}
    facts |= {"from": str(start), "to": str(stop), "firstTime": verifier.first_time, "lastTime": verifier.last_time}
    return {**report, "exitCode": 1 if "failed" in states else 3 if "incomplete" in states else 0, "facts": facts | verifier.counts}


def load_key(text):
    """A verifier key from the command line, or from a file that holds nothing else."""
    try:
        with open(text, "rb") as file:
            text = file.read(1024).decode("utf-8").strip()
    except (OSError, ValueError) as error:
        if "+" not in text:
            raise WrongQuestion(f"the pinned key cannot be read: {error}") from None
    return PinnedKey(text)


def read_held(file, pinned):
    lines = Lines(file)
    try:
        held = Checkpoint(lines, pinned)
    except Deviation as found:
        raise WrongQuestion(f"the earlier checkpoint cannot be used: {found.detail}") from None
    if held.fault is not None or not lines.at_end():
        raise WrongQuestion("the earlier checkpoint is not one that the pinned key signed")
    return held


def load_held(path, pinned):
    with open(path, "rb") as file:
        return read_held(file, pinned)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--key", required=True, help="the verifier key, or a file that holds it")
    parser.add_argument("--held", help="an earlier checkpoint")
    parser.add_argument("--part", action="store_true", help="a part of the log is expected")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        pinned = load_key(options.key)
        held = None if options.held is None else load_held(options.held, pinned)
        with open(options.bundle, "rb") as file:
            report = judge(Verifier(Lines(file), pinned, held), options.part)
    except (WrongQuestion, OSError, ValueError) as error:
        report = {"error": {"code": "cli.usage", "message": str(error)}}
    if options.json:
        print(json.dumps(report, indent=2))
    elif "error" in report:
        print(report["error"]["message"], file=sys.stderr)
    else:
        for name in ("integrity", "consistency", "completeness"):
            place = "".join(f", {key} {report[name][key]}" for key in ("line", "index") if key in report[name])
            print(f"{name:13} {report[name]['state']}{place}: {report[name]['detail']}")
    return report.get("exitCode", 2)


if __name__ == "__main__":
    sys.exit(main())
