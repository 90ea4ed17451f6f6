/**
 * log, log2, exp2 and pow as the reference implementation's runtime computes them, to the last digit: the engine's own
 * differ by a unit in the last place here and there. Source: the FreeBSD msun algorithms (e_log.c, e_exp.c) and the
 * public description of square-and-multiply powers.
 */

const ln2High = 6.9314718036912381649e-1
const ln2Low = 1.90821492927058770002e-10
const scratch = new DataView(new ArrayBuffer(8))

/** Exponent bits and mantissa of a positive number, without regard to denormals. */
function bits(x: number): { fraction: number; exponent: number } {
  scratch.setFloat64(0, x)
  const high = scratch.getUint32(0)
  scratch.setUint32(0, ((high & 0xfffff) | 0x3fe00000) >>> 0)
  return { fraction: scratch.getFloat64(0), exponent: (high >>> 20) - 1022 }
}

/** x = fraction · 2^exponent with 0.5 <= |fraction| < 1; finite and not 0. */
function frexp(x: number): { fraction: number; exponent: number } {
  let exponent = 0
  if (Math.abs(x) < 2.2250738585072014e-308) {
    x *= 2 ** 52
    exponent = -52
  }
  scratch.setFloat64(0, x)
  const high = scratch.getUint32(0)
  exponent += ((high >>> 20) & 0x7ff) - 1022
  scratch.setUint32(0, ((high & 0x800fffff) | 0x3fe00000) >>> 0)
  return { fraction: scratch.getFloat64(0), exponent }
}

function ldexp(fraction: number, exponent: number): number {
  while (exponent > 1000) {
    fraction *= 2 ** 1000
    exponent -= 1000
  }
  while (exponent < -1000) {
    fraction *= 2 ** -1000
    exponent += 1000
  }
  return fraction * 2 ** exponent
}

/** The natural logarithm, as Go computes it. */
export function log(x: number): number {
  if (Number.isNaN(x) || x === Infinity) return x
  if (x < 0) return NaN
  if (x === 0) return -Infinity
  // A denormal's exponent bits are taken as they stand: the reference's amd64 code does so, and answers must be alike.
  let { fraction, exponent } = x < 2.2250738585072014e-308 ? bits(x) : frexp(x)
  if (fraction < Math.SQRT1_2) {
    fraction *= 2
    exponent--
  }
  const f = fraction - 1
  const s = f / (2 + f)
  const s2 = s * s
  const s4 = s2 * s2
  const t1 =
    s2 *
    (6.66666666666673513e-1 +
      s4 * (2.857142874366239149e-1 + s4 * (1.818357216161805012e-1 + s4 * 1.479819860511658591e-1)))
  const t2 = s4 * (3.999999999940941908e-1 + s4 * (2.222219843214978396e-1 + s4 * 1.531383769920937332e-1))
  const half = 0.5 * f * f
  return exponent * ln2High - (half - (s * (half + (t1 + t2)) + exponent * ln2Low) - f)
}

/** As Go computes it. */
export function log2(x: number): number {
  if (!(x > 0) || x === Infinity) return log(x)
  const { fraction, exponent } = frexp(x)
  return fraction === 0.5 ? exponent - 1 : log(fraction) * (1 / Math.LN2) + exponent
}

/** As Go computes it. */
export function log10(x: number): number {
  return log2(x) * (Math.LN2 / Math.LN10)
}

/** As Go computes it. */
export function exp2(x: number): number {
  if (Number.isNaN(x) || x === Infinity) return x
  if (x === -Infinity) return 0
  if (x > 1.02399999999999e3) return Infinity
  if (x < -1.074e3) return 0
  const k = x > 0 ? Math.trunc(x + 0.5) : x < 0 ? Math.trunc(x - 0.5) : 0
  const t = x - k
  const high = t * ln2High
  const low = -t * ln2Low
  const r = high - low
  const t2 = r * r
  const c =
    r -
    t2 *
      (1.66666666666666657415e-1 +
        t2 *
          (-2.77777777770155933842e-3 +
            t2 * (6.61375632143793436117e-5 + t2 * (-1.6533902205465251539e-6 + t2 * 4.13813679705723846039e-8))))
  return ldexp(1 - (low - (r * c) / (2 - c) - high), k)
}

/** As Go computes it: unlike JavaScript 1 ** NaN is 1. */
export function pow(x: number, y: number): number {
  if (y === 0 || x === 1) return 1
  if (y === 1) return x
  if (Number.isNaN(x) || Number.isNaN(y) || x === 0 || Math.abs(x) === Infinity || Math.abs(y) === Infinity)
    return x === -1 && Math.abs(y) === Infinity ? 1 : x ** y
  if (y === 0.5) return Math.sqrt(x)
  if (y === -0.5) return 1 / Math.sqrt(x)
  const absolute = Math.abs(y)
  let whole = Math.trunc(absolute)
  let part = absolute - whole
  if (part !== 0 && x < 0) return NaN
  if (whole >= 2 ** 53) return x ** y
  let result = 1
  let exponent = 0
  if (part !== 0) {
    if (part > 0.5) {
      part--
      whole++
    }
    result = Math.exp(part * log(x))
  }
  let { fraction, exponent: power } = frexp(x)
  for (; whole !== 0; whole = Math.floor(whole / 2)) {
    if (power < -4096 || power > 4096) {
      exponent += power
      break
    }
    if (whole % 2 === 1) {
      result *= fraction
      exponent += power
    }
    fraction *= fraction
    power *= 2
    if (fraction < 0.5) {
      fraction += fraction
      power--
    }
  }
  return y < 0 ? ldexp(1 / result, -exponent) : ldexp(result, exponent)
}

/** Go's math.Max: infinity wins over NaN. */
export function greater(a: number, b: number): number {
  return a === Infinity || b === Infinity ? Infinity : Math.max(a, b)
}

/** Go's math.Min: infinity below zero wins over NaN. */
export function lesser(a: number, b: number): number {
  return a === -Infinity || b === -Infinity ? -Infinity : Math.min(a, b)
}
