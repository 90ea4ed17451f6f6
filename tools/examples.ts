/**
 * Renders deploy/examples again, each from the stack.yaml in its folder; the folder's name begins with the target:
 *
 *   node tools/examples.ts [--secrets=FILE]
 *
 * Sealed Secrets stay as they are. With a file of Secrets in clear they are sealed again, for the recipients of each
 * stack.yaml.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { targets, type Target } from '#deploy/stack.ts'
import { renderStack } from '#ops/render.ts'
import { readStackFile } from '#ops/stack-file.ts'

const root = 'deploy/examples'

/** Folders with their targets; those that are written by hand have none. */
export function examples(): { directory: string; target: Target }[] {
  return readdirSync(root, { withFileTypes: true }).flatMap(entry => {
    const target = targets.find(known => entry.name === known || entry.name.startsWith(`${known}-`))
    return entry.isDirectory() && target !== undefined && entry.name !== 'helm-subchart'
      ? [{ directory: join(root, entry.name), target }]
      : []
  })
}

/** Counts no file that is as it was. */
export async function renderExample(directory: string, target: Target, into: string, secretsPath?: string) {
  const messages: string[] = []
  const output = { out: (text: string) => messages.push(text), err: (text: string) => messages.push(text) }
  const stack = readStackFile(join(directory, 'stack.yaml'), undefined)
  await renderStack({ ...stack, target, directory: into, secretsPath }, output)
  return messages
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { secrets: { type: 'string' } } })
  for (const { directory, target } of examples()) {
    const messages = await renderExample(directory, target, directory, values.secrets)
    console.log(`${directory}\n  ${messages.join('\n  ')}`)
  }
}
