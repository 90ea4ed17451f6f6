/**
 * Strict checks of Kubernetes objects: an unknown field is an error, where a real API server would drop it in
 * silence.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv, type ValidateFunction } from 'ajv'
import { parseAllDocuments } from 'yaml'
import type { KubeObject } from '#deploy/tree.ts'

export function objectsOfText(text: string): KubeObject[] {
  return parseAllDocuments(text).flatMap(document => {
    const value = (document as { toJS(): unknown }).toJS() as KubeObject | null
    return value === null ? [] : [value]
  })
}

/** Where each built-in kind has its type. */
const modules: Readonly<Record<string, string>> = {
  'apps/v1': 'apps/v1',
  v1: 'core/v1',
  'batch/v1': 'batch/v1',
  'rbac.authorization.k8s.io/v1': 'rbac/v1',
  'networking.k8s.io/v1': 'networking/v1',
  'policy/v1': 'policy/v1',
}

/** The compiler refuses unknown and missing fields of literals. Built-in kinds only; all objects in one run. */
export function builtInProblems(objects: readonly KubeObject[]): string[] {
  const own = objects.filter(o => modules[o.apiVersion] !== undefined)
  // Beside the packages, where their types are found.
  mkdirSync('build', { recursive: true })
  const directory = mkdtempSync(join(process.cwd(), 'build', 'kube-types-'))
  try {
    const kinds = [...new Set(own.map(o => `${o.apiVersion} ${o.kind}`))].map(key => key.split(' ') as [string, string])
    const imports = kinds.map(
      ([version, kind]) => `import type { ${kind} as ${kind}_ } from 'kubernetes-types/${modules[version]!}'`,
    )
    writeFileSync(
      join(directory, 'objects.ts'),
      `${imports.join('\n')}\n` +
        `${own.map((o, i) => `export const object${i}: ${o.kind}_ = ${JSON.stringify(o, null, 1)}`).join('\n')}\n`,
    )
    writeFileSync(
      join(directory, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          module: 'esnext',
          moduleResolution: 'bundler',
          skipLibCheck: true,
          types: [],
        },
        files: ['objects.ts'],
      }),
    )
    const run = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', directory], { encoding: 'utf8' })
    return run.status === 0 ? [] : `${run.stdout}${run.stderr}`.trim().split('\n')
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Unknown fields are refused wherever a schema names its fields. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict)
  if (typeof schema !== 'object' || schema === null) return schema
  const {
    'x-kubernetes-int-or-string': intOrString,
    'x-kubernetes-preserve-unknown-fields': isOpen,
    format: _format,
    ...rest
  } = schema as Record<string, unknown>
  if (intOrString === true) return {}
  const out = Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [
      key,
      key === 'properties'
        ? Object.fromEntries(Object.entries(value as object).map(([name, child]) => [name, strict(child)]))
        : strict(value),
    ]),
  )
  return out['properties'] !== undefined && isOpen !== true && out['additionalProperties'] === undefined
    ? { ...out, additionalProperties: false }
    : out
}

const validators = new Map<string, ValidateFunction>()

/** Against the CustomResourceDefinition of a kind. */
export function customProblems(object: KubeObject): string[] {
  const key = `${object.kind}.${object.apiVersion.split('/')[1]!}`
  let validate = validators.get(key)
  if (validate === undefined) {
    const schema = strict(JSON.parse(readFileSync(`fixtures/schemas/${key}.json`, 'utf8'))) as {
      properties: Record<string, unknown>
    }
    // Of every object; CustomResourceDefinitions leave it open.
    schema.properties['metadata'] = { type: 'object' }
    validate = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(schema)
    validators.set(key, validate)
  }
  const isValid = validate(object) as boolean
  return isValid
    ? []
    : (validate.errors ?? []).map(
        e => `${object.kind}/${object.metadata.name}${e.instancePath}: ${e.message ?? ''} ${JSON.stringify(e.params)}`,
      )
}

export function isBuiltIn(object: KubeObject): boolean {
  return modules[object.apiVersion] !== undefined
}
