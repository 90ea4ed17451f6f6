/** Where an attribute lies beside the attribute lists: columns of its own. Form: docs/formats/tempo-block.md. */
import { dedicatedPlaces, fixedColumnsOf4, type DedicatedColumn, type DedicatedScope } from './schema.ts'

export interface OwnPath {
  path: string
  type: 'string' | 'int'
}

/** Attributes that have columns of fixed names in vParquet4 and vParquet3, whatever is dedicated. */
export const fixedAttributes: readonly (readonly [scope: DedicatedScope, name: string])[] = fixedColumnsOf4.map(
  ([scope, name]) => [scope, name],
)

const prefixes = { resource: 'rs.Resource', span: 'rs.ss.Spans', event: 'rs.ss.Spans.Events' } as const

export function attributePaths(
  dedicated: readonly DedicatedColumn[],
  level: 'resource' | 'scope' | 'span' | 'event' | 'link',
  name: string,
): OwnPath[] {
  if (level === 'scope' || level === 'link') return []
  const paths: OwnPath[] = []
  if (level === 'resource' && name === 'service.name') paths.push({ path: 'rs.Resource.ServiceName', type: 'string' })
  const place = dedicatedPlaces(dedicated).get(`${level} ${name}`)
  if (place !== undefined)
    paths.push({ path: `${prefixes[level]}.DedicatedAttributes.${place.column}`, type: place.type })
  for (const [scope, own, path, type] of fixedColumnsOf4)
    if (scope === level && own === name) paths.push({ path, type })
  return paths
}
