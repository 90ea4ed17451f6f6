/** A failed expectation, with the telemetry that made it fail. */
import { AssertionError } from 'node:assert'

/** More of them would hide the first ones. */
const shownMax = 20

export interface Failure {
  /** `http_requests_total{code="500"}: expected 0, found 3` */
  message: string
  actual: unknown
  expected: unknown
  operator: string
  /** What was found: a line each. */
  evidence: readonly string[]
}

/** As `node:assert` throws: every test runner shows its message, and those that show differences have both values. */
export class TelemetryAssertionError extends AssertionError {
  override name = 'TelemetryAssertionError'

  constructor({ message, actual, expected, operator, evidence }: Failure) {
    super({ message: [message, ...shown(evidence)].join('\n'), actual, expected, operator })
  }
}

function shown(evidence: readonly string[]): string[] {
  const rest = evidence.length - shownMax
  const lines = evidence.slice(0, shownMax).map(line => `  ${line.replaceAll('\n', '\n  ')}`)
  return rest > 0 ? [...lines, `  … and ${rest} more`] : lines
}
