/** Does everything that compose.yaml and the files beside it name exist? */
import { parse } from 'yaml'
import { findUnresolved, type Known } from './references.ts'
import type { FileTree } from './tree.ts'

interface ComposeService {
  depends_on?: Record<string, unknown>
  volumes?: string[]
  secrets?: string[]
  env_file?: { path: string }[]
}

interface Compose {
  services: Record<string, ComposeService>
  volumes?: Record<string, unknown>
  secrets?: Record<string, { file: string }>
}

/** One sentence for each name that is not there, with the service or the file that names it. */
export function composeProblems(tree: FileTree, known: Known): string[] {
  const compose = parse(tree.get('compose.yaml') ?? '') as Compose
  const problems = Object.entries(compose.services).flatMap(([name, service]) =>
    serviceProblems(compose, tree, `services.${name}`, service),
  )
  // A healthcheck asks its own container.
  const texts = [...tree].map(([path, text]) => ({
    apiVersion: 'v1',
    kind: 'File',
    metadata: { name: path },
    text: text.replaceAll('http://127.0.0.1', ''),
  }))
  return [...problems, ...findUnresolved(texts, { ...known, external: [...known.external, ...editorHosts] })]
}

const editorHosts = ['host:raw.githubusercontent.com']

function serviceProblems(compose: Compose, tree: FileTree, where: string, service: ComposeService): string[] {
  const problems: string[] = []
  const expect = (isThere: boolean, what: string): void => {
    if (!isThere) problems.push(`${where}: ${what} is not there`)
  }
  for (const name of Object.keys(service.depends_on ?? {}))
    expect(compose.services[name] !== undefined, `the service ${name}`)
  for (const name of service.secrets ?? []) expect(compose.secrets?.[name] !== undefined, `the secret ${name}`)
  for (const { path } of service.env_file ?? [])
    expect(tree.has(`${path.replace(/^\.\//, '')}.example`), `an example of ${path}`)
  for (const volume of service.volumes ?? []) {
    const [source = ''] = volume.split(':')
    if (!source.startsWith('./')) expect(compose.volumes?.[source] !== undefined, `the volume ${source}`)
    else expect(hasPath(tree, source.slice(2)), `the file ${source}`)
  }
  return problems
}

/** A file, or a folder with files. */
function hasPath(tree: FileTree, path: string): boolean {
  return tree.has(path) || [...tree.keys()].some(file => file.startsWith(`${path}/`))
}
