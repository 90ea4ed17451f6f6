/** Reads what a comparison needs of a run, through the interface that instances and servers share. */
import { addAll } from '#core/lists.ts'
import { Profile } from './profile.ts'
import { readLogs } from './read-logs.ts'
import { readMetrics } from './read-metrics.ts'
import { readResources } from './read-resources.ts'
import { readTraces } from './read-traces.ts'
import { Notes, type Run } from './reading.ts'
import type { Rules } from './rules.ts'

/** Throws QueryError where a query is refused. */
export async function readRun(run: Run, rules: Rules): Promise<Profile> {
  const profile = new Profile(run.name, run.fromMs, run.toMs)
  const reading = { run, profile, rules, notes: new Notes() }
  await readTraces(reading)
  if (profile.traces > 0) await reading.notes.unlessRefused('attributes of resources', () => readResources(reading))
  await readLogs(reading)
  await readMetrics(reading)
  addAll(profile.notes, reading.notes.sentences())
  return profile.finish()
}
