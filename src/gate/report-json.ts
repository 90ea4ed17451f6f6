/** A report for programs; its shape is in docs/ci-gate.md. */
import type { Report } from './compare.ts'

export function jsonReport(report: Report): string {
  return JSON.stringify(report, null, 2)
}
