/**
 * Real engines and charts that these tests run, where they are: programs in a directory that ENGINES_DIRECTORY names,
 * or on PATH; charts in the one that CHARTS_DIRECTORY names, with helm on PATH. How to get them: CONTRIBUTING.md.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isCephInstalled } from '../ceph.ts'
import { programPath } from '../peers.ts'
import { missingForPods } from './pod-network.ts'

/** Path of a program; undefined: it is not here. */
export function enginePath(name: string): string | undefined {
  const own = process.env['ENGINES_DIRECTORY']
  const path = own === undefined ? '' : join(own, name)
  return existsSync(path) ? path : programPath(name)
}

export function chartPath(name: string): string | undefined {
  const path = join(process.env['CHARTS_DIRECTORY'] ?? '', name)
  return process.env['CHARTS_DIRECTORY'] !== undefined && existsSync(join(path, 'Chart.yaml')) ? path : undefined
}

/** What a test needs; its `skip` says loudly what is not there. */
export function needsEngines(needs: { programs: readonly string[]; charts?: readonly string[]; s3?: boolean }): {
  skip: string | false
} {
  const missing = [
    ...needs.programs.filter(name => enginePath(name) === undefined),
    ...(needs.charts ?? []).filter(name => chartPath(name) === undefined).map(name => `the chart ${name}`),
    ...(needs.charts !== undefined && programPath('helm') === undefined ? ['helm'] : []),
    ...(needs.s3 === true && !isCephInstalled ? ['radosgw, ceph-mon and ceph-osd'] : []),
  ]
  const pods = missing.length === 0 ? missingForPods() : undefined
  const all = pods === undefined ? missing : [pods]
  return { skip: all.length === 0 ? false : `NOT TESTED: ${all.join(', ')} not there (CONTRIBUTING.md, real engines)` }
}
