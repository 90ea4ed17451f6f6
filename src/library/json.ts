/** Reads JSON of answers whose shape the APIs promise: what is missing is empty, what is of another type is, too. */

export interface JsonMap {
  readonly [name: string]: unknown
}

export function mapOf(value: unknown): JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonMap) : {}
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : []
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

export function textsOf(value: unknown): string[] {
  return listOf(value).map(textOf)
}

/** A number, or the text of one; NaN for what is none. */
export function numberOf(value: unknown): number {
  if (typeof value === 'number') return value
  const text = textOf(value)
  if (text === '+Inf' || text === 'Inf' || text === 'Infinity') return Infinity
  if (text === '-Inf' || text === '-Infinity') return -Infinity
  return text === '' ? NaN : Number(text)
}

/** A whole number as a text or a number; 0 for what is none. */
export function bigintOf(value: unknown): bigint {
  const text = textOf(value)
  return /^-?\d+$/.test(text) ? BigInt(text) : 0n
}

export function labelsOf(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(mapOf(value)).map(([name, text]) => [name, textOf(text)]))
}
