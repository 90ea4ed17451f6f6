/** Warnings of an answer whose format has no place for them. */

/** Longer headers are refused by some clients and proxies. */
const lengthMax = 2048

/** The header `X-Tercet-Warning`; none when there is nothing to warn of. */
export function warningHeader(warning: string | undefined): Readonly<Record<string, string>> {
  if (warning === undefined) return {}
  // A header holds visible ASCII; what is quoted in a warning may be anything.
  return { 'x-tercet-warning': warning.slice(0, lengthMax).replaceAll(/[^\x20-\x7e]/g, '?') }
}
