/** Digits of floats as Go writes them: exact, the half of the last one to the even neighbour. */
import { formatGoFloat } from './go-float.ts'

/** No float64 has more digits behind its point. */
const fractionMax = 1100

/** A positive finite float as whole number times a power of two. */
export function partsOf(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  const bits = view.getBigUint64(0)
  const biased = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & 0xfffffffffffffn
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 }
}

/** The quotient of two positive numbers, rounded. */
function divideRounded(over: bigint, under: bigint): bigint {
  const quotient = over / under
  const twice = 2n * (over % under)
  return twice > under || (twice === under && quotient % 2n === 1n) ? quotient + 1n : quotient
}

/** `value` times ten to the power of `scale`, as a whole number. */
function scaled(value: number, scale: number): bigint {
  const { mantissa, exponent } = partsOf(value)
  const over = mantissa * 2n ** BigInt(Math.max(0, exponent)) * 10n ** BigInt(Math.max(0, scale))
  return divideRounded(over, 2n ** BigInt(Math.max(0, -exponent)) * 10n ** BigInt(Math.max(0, -scale)))
}

/** Of a positive float: as `%.nf`. */
function fixed(value: number, places: number): string {
  const known = Math.min(places, fractionMax)
  const digits = String(scaled(value, known)).padStart(known + 1, '0')
  const whole = digits.slice(0, digits.length - known)
  return places === 0 ? whole : `${whole}.${digits.slice(digits.length - known)}${'0'.repeat(places - known)}`
}

/** The first digits of a positive float, and the power of ten of the first one. */
function leading(value: number, count: number): { digits: string; power: number } {
  if (value === 0) return { digits: '0'.repeat(count), power: 0 }
  const known = Math.min(count, fractionMax)
  let power = Number(value.toExponential().split('e')[1])
  let digits = ''
  for (;;) {
    digits = String(scaled(value, known - 1 - power))
    if (digits.length === known) return { digits: digits + '0'.repeat(count - known), power }
    power += digits.length > known ? 1 : -1
  }
}

function exponential({ digits, power }: { digits: string; power: number }): string {
  const exponent = `e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  return digits.length === 1 ? digits + exponent : `${digits.slice(0, 1)}.${digits.slice(1)}${exponent}`
}

/** As `%.ng`: with an exponent where the number is far from one, without zeros at its end. */
function general(value: number, precision: number): string {
  if (value === 0) return '0'
  const { digits, power } = leading(value, Math.max(1, precision))
  const short = digits.replace(/0+$/, '')
  const places = power + 1
  const wide = precision > short.length && short.length >= places ? short.length : Math.max(1, precision)
  if (power < -4 || power >= wide) return exponential({ digits: short, power })
  return fixed(Number(exponential({ digits: short, power })), Math.max(0, short.length - places))
}

/** As `%b`: the whole mantissa and a power of two. */
function binary(value: number): string {
  const { mantissa, exponent } = partsOf(value)
  return `${mantissa}p${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`
}

/** As `%x`: a mantissa of hexadecimal digits, and a power of two. */
function hexadecimal(value: number, precision: number): string {
  let { mantissa, exponent } = partsOf(value)
  if (mantissa === 0n) return `0x0${precision > 0 ? `.${'0'.repeat(precision)}` : ''}p+00`
  while (mantissa < 1n << 52n) {
    mantissa <<= 1n
    exponent--
  }
  let digits = 13
  if (precision >= 0 && precision < 13) {
    mantissa = divideRounded(mantissa, 1n << BigInt(4 * (13 - precision)))
    digits = precision
    if (mantissa >= 1n << BigInt(4 * digits + 1)) {
      mantissa >>= 1n
      exponent++
    }
  }
  const text = mantissa.toString(16)
  const rest = precision < 0 ? text.slice(1).replace(/0+$/, '') : text.slice(1).padEnd(precision, '0')
  const power = exponent + 52
  const shownPower = `p${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  return `0x${text.slice(0, 1)}${rest === '' ? '' : `.${rest}`}${shownPower}`
}

/** A float by the verbs b, e, E, f, g, G, x, X; a precision of -1 means as many digits as the float needs. */
export function formatFloat(value: number, verb: string, precision: number): string {
  if (!Number.isFinite(value)) return formatGoFloat(value)
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const size = Math.abs(value)
  const text = sign + unsigned(size, verb.toLowerCase(), precision)
  return verb === 'E' || verb === 'G' || verb === 'X' ? text.toUpperCase() : text
}

function unsigned(size: number, verb: string, precision: number): string {
  switch (verb) {
    case 'b':
      return binary(size)
    case 'e':
      return exponential(leading(size, precision + 1))
    case 'f':
      return fixed(size, precision)
    case 'x':
      return hexadecimal(size, precision)
    default:
      return precision < 0 ? formatGoFloat(size) : general(size, precision)
  }
}
