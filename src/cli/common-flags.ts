/** Flags that several verbs have. */
import type { Server } from '#ops/client.ts'
import { readSecretFile } from '#ops/secret-file.ts'
import type { Flag, Given } from './verb.ts'

export const urlFlag = {
  name: 'url',
  kind: 'address',
  fallback: 'http://127.0.0.1:8428',
  help: 'Address of the running process.',
} as const satisfies Flag

/** How a verb gets into a server that asks for credentials. Passwords are on no command line. */
export const accessFlags = [
  { name: 'username', kind: 'text', help: 'User name of basic authentication.' },
  { name: 'password-file', kind: 'file', help: 'Holds its password.' },
  { name: 'bearer-token-file', kind: 'file', help: 'Holds the token that requests carry.' },
] as const satisfies readonly Flag[]
export type AccessFlag = (typeof accessFlags)[number]['name']

export const tenantFlag = { name: 'tenant', kind: 'text', help: 'Is sent as X-Scope-OrgID.' } as const satisfies Flag

/** Flags of a verb that asks a running process. */
export const serverFlags = [urlFlag, tenantFlag, ...accessFlags] as const
export type ServerFlag = (typeof serverFlags)[number]['name']

/** What a request carries by `accessFlags`, and by `tenantFlag`. */
export function headersOf(given: Given<'tenant' | AccessFlag>): Record<string, string> {
  const tenant = given.optional('tenant')
  const bearer = readSecretFile(given.optional('bearer-token-file'))
  const user = given.optional('username')
  const password = readSecretFile(given.optional('password-file')) ?? ''
  const credentials = Buffer.from(`${user}:${password}`).toString('base64')
  return {
    ...(tenant === undefined ? {} : { 'x-scope-orgid': tenant }),
    ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
    ...(user === undefined ? {} : { authorization: `Basic ${credentials}` }),
  }
}

/** The process that `serverFlags` name. */
export function serverOf(given: Given<ServerFlag>): Server {
  return { url: given.text('url'), headers: headersOf(given) }
}

export const jsonFlag = { name: 'json', kind: 'switch', help: 'Prints JSON, for programs.' } as const satisfies Flag

const timeForms = 'Unix seconds, RFC 3339, or a duration before now.'

export const startFlag = (fallback: string) =>
  ({
    name: 'start',
    kind: 'text',
    placeholder: 'TIME',
    fallback,
    help: `Where the range begins: ${timeForms}`,
  }) as const

export const endFlag = {
  name: 'end',
  kind: 'text',
  placeholder: 'TIME',
  fallback: '0s',
  help: `Where the range ends: ${timeForms}`,
} as const satisfies Flag

export const stackFlag = {
  name: 'config',
  kind: 'file',
  help: 'What is deployed; without it stack.yaml of this directory, or the defaults.',
} as const satisfies Flag

export const outputFlag = {
  name: 'output',
  kind: 'text',
  short: 'o',
  placeholder: 'DIR',
  isRequired: true,
  help: 'The directory that is written to.',
} as const satisfies Flag
