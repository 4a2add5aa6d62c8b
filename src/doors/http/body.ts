import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { CodedError } from '../../kernel/index.ts';

const maxBodyBytes = 64 * 1024;

/** What a body must be: of this media type, and no larger. */
interface Wanted {
  readonly type: 'application/json' | 'text/plain';
  readonly maxBytes: number;
}

/**
 * The JSON of a request's body; undefined when it is empty. A body that is too large is left unread.
 * @throws CodedError `http.unsupported_media_type` for anything but plain UTF-8 JSON (no client of ours compresses, and a small
 * compressed body could become a large one), `http.too_large` above 64 KiB, `http.bad_request`
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const bytes = await readBody(request, { type: 'application/json', maxBytes: maxBodyBytes });
  try {
    return bytes.length === 0 ? undefined : JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw incomplete(error);
  }
}

/** A body of UTF-8 text as it came. @throws as `readJson` */
export function readText(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return readBody(request, { type: 'text/plain', maxBytes });
}

function readBody(request: IncomingMessage, wanted: Wanted): Promise<Buffer> {
  const { maxBytes } = wanted;
  const { 'content-type': contentType = '', 'content-encoding': encoding } = request.headers;
  const type = contentType.split(';')[0]?.trim().toLowerCase();
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(contentType)?.[1]?.toLowerCase();
  if (type !== wanted.type || (charset !== undefined && charset !== 'utf-8') || encoding !== undefined)
    return Promise.reject(unsupportedMediaType(wanted));
  if (Number(request.headers['content-length']) > maxBytes) return Promise.reject(tooLarge(maxBytes));
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let sizeBytes = 0;
    request.on('data', (part: Buffer) => {
      sizeBytes += part.length;
      if (sizeBytes <= maxBytes) {
        parts.push(part);
        return;
      }
      request.pause();
      reject(tooLarge(maxBytes));
    });
    request.on('end', () => {
      const bytes = Buffer.concat(parts);
      // Otherwise every wrong byte would become the same replacement character.
      if (isUtf8(bytes)) resolve(bytes);
      else reject(unsupportedMediaType(wanted));
    });
    request.on('error', (error) => reject(incomplete(error)));
  });
}

function unsupportedMediaType({ type }: Wanted): CodedError {
  const what = type === 'text/plain' ? 'text' : 'JSON';
  return new CodedError('http.unsupported_media_type', `The body must be plain UTF-8 ${what}.`, {
    next: `Send Content-Type: ${type}, without compression.`,
  });
}

function tooLarge(maxBytes: number): CodedError {
  return new CodedError('http.too_large', `The body is larger than ${maxBytes} bytes.`, {
    next: 'Send less.',
  });
}

function incomplete(cause: unknown): CodedError {
  return new CodedError('http.bad_request', 'The body is not complete and valid JSON.', {
    next: 'See /v1/openapi.json.',
    cause,
  });
}
