import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { CodedError } from '../../kernel/index.ts';

const maxBodyBytes = 64 * 1024;

/**
 * The JSON of a request's body; undefined when it is empty. A body that is too large is left unread.
 * @throws CodedError `http.unsupported_media_type` for anything but plain UTF-8 JSON (no client of ours compresses, and a small
 * compressed body could become a large one), `http.too_large` above 64 KiB, `http.bad_request`
 */
export function readJson(request: IncomingMessage): Promise<unknown> {
  const { 'content-type': contentType = '', 'content-encoding': encoding } = request.headers;
  const type = contentType.split(';')[0]?.trim().toLowerCase();
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(contentType)?.[1]?.toLowerCase();
  if (type !== 'application/json' || (charset !== undefined && charset !== 'utf-8') || encoding !== undefined)
    return Promise.reject(unsupportedMediaType());
  if (Number(request.headers['content-length']) > maxBodyBytes) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let sizeBytes = 0;
    request.on('data', (part: Buffer) => {
      sizeBytes += part.length;
      if (sizeBytes <= maxBodyBytes) {
        parts.push(part);
        return;
      }
      request.pause();
      reject(tooLarge());
    });
    request.on('end', () => {
      const bytes = Buffer.concat(parts);
      // Otherwise every wrong byte would become the same replacement character.
      if (!isUtf8(bytes)) {
        reject(unsupportedMediaType());
        return;
      }
      try {
        resolve(bytes.length === 0 ? undefined : JSON.parse(bytes.toString('utf8')));
      } catch (error) {
        reject(incomplete(error));
      }
    });
    request.on('error', (error) => reject(incomplete(error)));
  });
}

function unsupportedMediaType(): CodedError {
  return new CodedError('http.unsupported_media_type', 'The body must be plain UTF-8 JSON.', {
    next: 'Send Content-Type: application/json, without compression.',
  });
}

function tooLarge(): CodedError {
  return new CodedError('http.too_large', `The body is larger than ${maxBodyBytes} bytes.`, {
    next: 'Send less.',
  });
}

function incomplete(cause: unknown): CodedError {
  return new CodedError('http.bad_request', 'The body is not complete and valid JSON.', {
    next: 'See /v1/openapi.json.',
    cause,
  });
}
