/**
 * What a route asks of whoever asks it, and what a credential grants. Every route of every listener names its access
 * (app/part.ts); the servers compare it with the grant before the handler is called.
 */
import type { LabelConstraint } from '#core/scope.ts'
import { signals as signalNames, type SignalName } from '#core/signal-name.ts'

/** `rules`: rules and silences are set; `admin`: what is stored is deleted, and the process is told what to do. */
export const verbs = ['read', 'write', 'rules', 'admin'] as const
export type Verb = (typeof verbs)[number]

export type Access =
  /** Anybody, without credentials, by any name and at the address for health: probes. */
  | { readonly kind: 'open' }
  /** Anybody, without credentials: the pages of a login. */
  | { readonly kind: 'login' }
  /** Whoever has a credential, whatever it grants: pages and their files, which hold no data. */
  | { readonly kind: 'known' }
  /** Data of one signal. `keepsLabels`: the handler answers within the label constraints of the grant. */
  | { readonly kind: 'signal'; readonly verb: Verb; readonly signal: SignalName; readonly keepsLabels: boolean }
  /** What all tenants and signals share: the configuration, memory, blocks, flush. */
  | { readonly kind: 'process'; readonly verb: Verb }

export const open: Access = { kind: 'open' }
export const login: Access = { kind: 'login' }
export const known: Access = { kind: 'known' }

/** Reading of a signal by a handler that keeps to the label constraints. */
export function reads(signal: SignalName): Access {
  return { kind: 'signal', verb: 'read', signal, keepsLabels: true }
}
/** Reading of a signal by a handler that can't: a credential with label constraints is refused. */
export function readsAll(signal: SignalName): Access {
  return { kind: 'signal', verb: 'read', signal, keepsLabels: false }
}
/** What is written is the sender's own: constraints are about what is read. */
export function writes(signal: SignalName): Access {
  return { kind: 'signal', verb: 'write', signal, keepsLabels: true }
}
export function setsRules(signal: SignalName): Access {
  return { kind: 'signal', verb: 'rules', signal, keepsLabels: false }
}
export function administers(signal: SignalName): Access {
  return { kind: 'signal', verb: 'admin', signal, keepsLabels: false }
}
export const readsProcess: Access = { kind: 'process', verb: 'read' }
export const administersProcess: Access = { kind: 'process', verb: 'admin' }

/** What a credential may do. Plain data: it goes to workers with the request. */
export interface Grant {
  /** Who it is, for the audit; empty where credentials are off. */
  readonly name: string
  readonly verbs: readonly Verb[]
  readonly signals: readonly SignalName[]
  /** Tenants whose data it may touch; undefined: all. */
  readonly tenants: readonly string[] | undefined
  readonly labels: readonly LabelConstraint[]
}

/** The grant of the process itself, and of everybody where credentials are off. */
export const everything: Grant = { name: '', verbs, signals: signalNames, tenants: undefined, labels: [] }

/** Of whoever asks at an open route without a right credential, where credentials are on. */
export const nobody: Grant = { name: '', verbs: [], signals: [], tenants: undefined, labels: [] }

/** Whoever asks: what a request, a call and a socket have in common. */
export interface Caller {
  /** A header, by its name in lower case. */
  header(name: string): string | undefined
  readonly grant: Grant
}

/** Why a grant is not enough; undefined: it is. Open routes are not asked. */
export function lackOf(access: Access, grant: Grant): string | undefined {
  switch (access.kind) {
    case 'open':
    case 'login':
    case 'known':
      return undefined
    case 'signal':
      return lackOfSignal(access, grant)
    case 'process':
      return lackOfProcess(access.verb, grant)
  }
}

function lackOfVerb(verb: Verb, { name, verbs: granted }: Grant): string | undefined {
  if (granted.includes(verb)) return undefined
  return `${name} may not do this: it takes the verb ${verb}, and the credential has ${listed(granted)}`
}

function lackOfSignal(
  { verb, signal, keepsLabels }: Extract<Access, { kind: 'signal' }>,
  grant: Grant,
): string | undefined {
  const { name, signals, labels } = grant
  if (!signals.includes(signal))
    return `${name} may not do this: it is about ${signal}, and the credential is for ${listed(signals)}`
  if (!keepsLabels && labels.length > 0)
    return `${name} may not do this: its credential is bound to labels, and this answer can't be kept to them`
  return lackOfVerb(verb, grant)
}

function lackOfProcess(verb: Verb, grant: Grant): string | undefined {
  const { name, signals, tenants, labels } = grant
  const isWhole = tenants === undefined && labels.length === 0 && signalNames.every(signal => signals.includes(signal))
  if (isWhole) return lackOfVerb(verb, grant)
  return `${name} may not do this: it is about all tenants and signals, and the credential is for some`
}

function listed(words: readonly string[]): string {
  return words.length === 0 ? 'none' : words.join(', ')
}
