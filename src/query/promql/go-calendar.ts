/** Calendar dates of any double, as Go has them: seconds are whole numbers of 64 bits, whatever year that is. */

const cycleSeconds = 12_622_780_800n
const cycleYears = 400
/** Seconds from Go's first moment, March 1 of the year -292277022400, to 1970. */
const fromFirstToEpoch = 62_135_596_800n + ((292_277_022_400n * 146_097n) / 400n + 306n) * 86_400n
const dateSecondsMax = 8.64e12
const least = -(2n ** 63n)

/** A conversion that has no result is the least number, as on amd64. */
function wholeSeconds(seconds: number): bigint {
  if (!Number.isFinite(seconds) || Math.abs(seconds) >= 2 ** 63) return least
  return BigInt(Math.trunc(seconds))
}

export interface GoDate {
  /** The date; for one beyond a Date's range another that is the same but for its year: the calendar repeats. */
  date: Date
  year: number
}

export function goDate(seconds: number): GoDate {
  if (Math.abs(seconds) < dateSecondsMax) {
    const date = new Date(Math.trunc(seconds) * 1000)
    return { date, year: date.getUTCFullYear() }
  }
  // Seconds since the first moment wrap around.
  const fromEpoch = BigInt.asUintN(64, wholeSeconds(seconds) + fromFirstToEpoch) - fromFirstToEpoch
  const within = ((fromEpoch % cycleSeconds) + cycleSeconds) % cycleSeconds
  const date = new Date(Number(within) * 1000)
  const cycles = Number((fromEpoch - within) / cycleSeconds)
  return { date, year: date.getUTCFullYear() + cycles * cycleYears }
}
