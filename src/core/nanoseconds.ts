/**
 * Times as Loki writes them: nanoseconds since the epoch in digits. Here they are whole milliseconds and nanoseconds
 * within.
 */

/** Nanoseconds as digits. */
export function formatNs(ms: number, subNs: number): string {
  if (ms > 0) return `${ms}${subNs < 100000 ? String(subNs).padStart(6, '0') : subNs}`
  return String(BigInt(ms) * 1000000n + BigInt(subNs))
}

/** Digits of nanoseconds, or undefined. */
export function parseNs(text: string): { ms: number; subNs: number } | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return undefined
  if (text.length > 6 && text.charCodeAt(0) !== 45) {
    const ms = Number(text.slice(0, -6))
    return ms <= 9223372036854 ? { ms, subNs: Number(text.slice(-6)) } : undefined
  }
  const ns = Number(text)
  if (ns < -9.2e18) return undefined
  const big = BigInt(text)
  let ms = big / 1000000n
  if (ms * 1000000n > big) ms -= 1n
  return { ms: Number(ms), subNs: Number(big - ms * 1000000n) }
}
