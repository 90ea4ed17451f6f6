/** `import … from 'tercet/testing'`: expectations about telemetry, for any test runner. */
export { expectTelemetry, type ExpectationOptions, type TelemetryExpectations } from './expectations.ts'
export { TelemetryAssertionError } from './failure.ts'
export { expectRules, type FiringOptions, type RuleExpectations } from './rule-expectations.ts'
export { runRules, type Firing, type RuleRun, type RuleRunOptions, type RuleSource } from './rule-run.ts'
export { type Bound } from './bound.ts'
export { seriesText, traceLines } from './shown-telemetry.ts'
