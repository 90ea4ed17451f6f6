/** Programs that do the same work in turns: one after the other, or all of them at once and asked in turns. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Peer, type PeerName } from './peers.ts'
import { cpuBetween } from './process-cost.ts'
import type { Column } from './row.ts'

export interface Contender {
  column: Column
  program: PeerName
  directory: string
}

export interface Entrant {
  column: Column
  peer: Peer
}

const quietSeconds = 0.02
const settledWithinMs = 60_000

/** One a program, and a second Tercet. */
export function contendersOf(programs: readonly PeerName[], root: string, name: string): Contender[] {
  const named = (column: Column, program: PeerName): Contender => ({
    column,
    program,
    directory: join(root, name, column.replaceAll(' ', '-')),
  })
  return programs.flatMap(program =>
    program === 'tercet' ? [named('tercet', 'tercet'), named('tercet again', 'tercet')] : [named(program, program)],
  )
}

export async function startAll(contenders: readonly Contender[]): Promise<Entrant[]> {
  const entrants: Entrant[] = []
  for (const { column, program, directory } of contenders) {
    mkdirSync(directory, { recursive: true })
    entrants.push({ column, peer: await Peer.start(program, { directory }) })
  }
  for (const { peer } of entrants) await settle(peer)
  return entrants
}

export async function stopAll(entrants: readonly Entrant[], keep: boolean): Promise<void> {
  for (const { peer } of entrants) await peer.stop(keep)
}

/** In another order each time, so that nobody is always the first. */
export function inTurn<T>(list: readonly T[], turn: number): T[] {
  const from = turn % Math.max(1, list.length)
  return [...list.slice(from), ...list.slice(0, from)]
}

/** Waits until a process is idle: what it merges and compacts after a load belongs to its cost. */
export async function settle(peer: Peer): Promise<void> {
  const until = performance.now() + settledWithinMs
  let quiet = 0
  for (let last = peer.cost(); quiet < 3 && performance.now() < until;) {
    await new Promise(resolve => setTimeout(resolve, 500))
    const now = peer.cost()
    quiet = cpuBetween(last, now) < quietSeconds ? quiet + 1 : 0
    last = now
  }
}

/** CPU seconds that a program takes for a piece of work. */
export async function cpuOf(peer: Peer, work: () => Promise<void>): Promise<number> {
  const before = peer.cost()
  await work()
  return cpuBetween(before, peer.cost())
}

/** Each by itself, one after the other: started, given its work, and stopped. */
export async function oneByOne(
  contenders: readonly Contender[],
  round: number,
  keep: boolean,
  work: (entrant: Entrant) => Promise<void>,
): Promise<void> {
  for (const contender of inTurn(contenders, round)) {
    const [entrant] = await startAll([contender])
    await work(entrant!)
    await entrant!.peer.stop(keep)
  }
}
