/** Paths of a configuration, as the engine itself shows it with all its defaults, and whether it can write there. */
import { leavesOf } from './cortex.ts'
import type { PodSpec } from './pod.ts'

/** Paths of URLs, names of certificates and the like: nothing is written there. */
const notWritten = [
  /(http|grpc|api|url|storage|alertmanager|prometheus)[a-z_]*_prefix$/,
  /(^|[._])(tls|cert|key|ca)[a-z_]*(path|file)$/,
  /[a-z]_(url|endpoint)$|token_file/,
]
const namesPath = /(^|_)(dir|directory|path|filepath|file|location)$/

export interface WrittenPath {
  key: string
  path: string
}

/** What looks like a path: by its value, or by its key. */
export function pathsOf(config: Record<string, unknown>): WrittenPath[] {
  return leavesOf(config)
    .filter((leaf): leaf is [string, string] => typeof leaf[1] === 'string' && leaf[1] !== '')
    .filter(([key, value]) => !notWritten.some(form => form.test(key)) && !/^[a-z0-9]+:\/\//.test(value))
    .filter(([key, value]) => /^(\/|\.{1,2}\/)/.test(value) || namesPath.test(key.split('.').at(-1)!))
    .map(([key, path]) => ({ key, path }))
}

/** Those that lie on no volume: on the root, which is read-only, or in the working directory, which is the root. */
export function pathsOffVolumes(config: Record<string, unknown>, { mounts }: Pick<PodSpec, 'mounts'>): WrittenPath[] {
  return pathsOf(config).filter(
    ({ path }) => !mounts.some(mount => path === mount.path || path.startsWith(`${mount.path}/`)),
  )
}
