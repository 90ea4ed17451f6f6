/** A role is a list of parts. What a role does not have is not even loaded. */
import type { Context } from './context.ts'
import type { Composition, Process } from './role.ts'

export const roleNames = ['all', 'query', 'insert', 'agent'] as const
export type RoleName = (typeof roleNames)[number]

type MakeRole = (context: Context, own: Process) => Promise<Composition>

const serving: MakeRole = async (context, own) => (await import('./serving.ts')).makeServing(context, own)
const agent: MakeRole = async (context, own) => (await import('./agent.ts')).makeAgent(context, own)

export const roles: Readonly<Record<RoleName, MakeRole>> = { all: serving, query: serving, insert: serving, agent }

/** Loads the modules of an agent, so that their compiled code can be cached; starts nothing. */
export async function loadAgent(): Promise<void> {
  await import('./agent.ts')
}
