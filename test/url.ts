/** Addresses with parameters, for tests. */

/** `base/path?name=value…`; values are encoded. */
export function urlOf(base: string, path: string, parameters: Readonly<Record<string, string>>): string {
  return `${base}${path}?${new URLSearchParams(parameters).toString()}`
}
