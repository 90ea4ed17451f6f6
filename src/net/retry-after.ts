/** How long a server asks to be left alone. Source: RFC 9110, section 10.2.3. */

/** No server is left alone for longer, whatever it asks for. */
const retryAfterMaxMs = 30 * 60_000

/** Milliseconds that a `Retry-After` asks for: seconds, or a date; 0 where it asks for none. */
export function retryAfterMs(header: string | undefined, nowMs: number): number {
  const text = header?.trim() ?? ''
  // Date.parse takes much for a date that is none.
  const isDate = /^[A-Z][a-z]+, /.test(text)
  const ms = isDate ? Date.parse(text) - nowMs : Number(text) * 1000
  return ms > 0 ? Math.min(ms, retryAfterMaxMs) : 0
}
