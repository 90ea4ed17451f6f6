/** Files that a render makes: path to content. */
import { stringify } from 'yaml'

export type FileTree = Map<string, string>

/** Any Kubernetes object. */
export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> }
  [more: string]: unknown
}

/**
 * Keys in the order given; no line is folded, nothing is an alias; `on` and `no` are quoted, which programs in Go
 * take for truth values.
 */
export function yamlText(value: unknown, comment = ''): string {
  const head =
    comment === ''
      ? ''
      : `${comment
          .split('\n')
          .map(line => `# ${line}`.trimEnd())
          .join('\n')}\n`
  return head + stringify(value, { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' })
}

/** One file of several objects. */
export function documents(objects: readonly unknown[]): string {
  return objects.map(o => `---\n${yamlText(o)}`).join('')
}

/** Without what is undefined, all the way down: YAML has no such thing. */
export function defined<T>(value: T): T {
  if (Array.isArray(value)) return value.map(defined) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .map(([k, v]) => [k, defined(v)]),
  ) as T
}
