/** Reads how many values each attribute of the resources of a run has. */
import { bodyText } from '#library/client.ts'
import { listOf, mapOf, textOf } from '#library/json.ts'
import { QueryError, type TercetRequest } from '#library/telemetry.ts'
import { labelProfileOf } from './metric-profile.ts'
import type { Reading, Run } from './reading.ts'

const attributesMax = 200

export async function readResources({ run, profile, notes }: Reading): Promise<void> {
  const range = { start: String(Math.floor(run.fromMs / 1000)), end: String(Math.ceil(run.toMs / 1000)) }
  const listed = await ask(run, { path: '/api/v2/search/tags', parameters: { ...range, scope: 'resource' } })
  const names = listOf(mapOf(listOf(listed['scopes'])[0])['tags']).map(textOf)
  if (names.length > attributesMax)
    notes.add(`traces: of ${names.length} attributes of resources ${attributesMax} are compared`)
  for (const name of names.slice(0, attributesMax)) {
    const path = `/api/v2/search/tag/${encodeURIComponent(`resource.${quotedName(name)}`)}/values`
    const values = await ask(run, { path, parameters: range })
    const texts = listOf(values['tagValues']).map(value => textOf(mapOf(value)['value']))
    profile.resources.set(name, labelProfileOf(new Set(texts)))
  }
}

/** In TraceQL a name with blanks and the like is quoted. */
function quotedName(name: string): string {
  return /^[\w.:/-]+$/.test(name) ? name : JSON.stringify(name)
}

async function ask({ telemetry }: Run, request: TercetRequest): Promise<Record<string, unknown>> {
  const reply = await telemetry.request(request)
  if (reply.status >= 400) throw new QueryError(request.path, reply.status, bodyText(reply).trim().slice(0, 500))
  return mapOf(JSON.parse(bodyText(reply)))
}
