/** Flags that several verbs have. */
import type { Flag } from './verb.ts'

export const urlFlag = {
  name: 'url',
  kind: 'address',
  fallback: 'http://127.0.0.1:8428',
  help: 'Address of the running process.',
} as const satisfies Flag

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
