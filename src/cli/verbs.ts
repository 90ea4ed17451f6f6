/** Every verb by its name, in the order of help. */
import type { VerbTable } from './verb.ts'

export const verbs: VerbTable = {
  up: async () => (await import('./up.ts')).up,
  demo: async () => (await import('./demo.ts')).demo,
  query: async () => (await import('./query.ts')).query,
  record: async () => (await import('./record.ts')).record,
  diff: async () => (await import('./diff.ts')).diff,
  tail: async () => (await import('./tail.ts')).tail,
  top: async () => (await import('./top.ts')).top,
  inspect: async () => (await import('./inspect.ts')).inspect,
  check: async () => (await import('./check.ts')).check,
  deploy: async () => (await import('./deploy.ts')).deploy,
  auth: async () => (await import('./auth.ts')).auth,
  import: async () => (await import('./import.ts')).importHistory,
  rules: async () => (await import('./rules.ts')).rules,
  healthcheck: async () => (await import('./healthcheck.ts')).healthcheck,
  version: async () => (await import('./version.ts')).showVersion,
}
