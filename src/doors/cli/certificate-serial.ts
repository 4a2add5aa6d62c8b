import { findX509Serial, parseSerial } from '../../kernel/index.ts';

/**
 * A serial of either kind in the form that the broker takes, from any spelling that programs print: of SSH decimal, of TLS 40 hex digits.
 * @throws CodedError `kernel.bad_serial`
 */
export function certificateSerial(text: string): string {
  return findX509Serial(text) ?? parseSerial(text).toString();
}
