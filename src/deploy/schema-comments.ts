/** The line by which YAML language servers find the schema of a file. */
import type { KubeObject } from './tree.ts'

/** A public collection of the schemas of CustomResourceDefinitions. */
const collection = 'https://raw.githubusercontent.com/datreeio/CRDs-catalog/main'

/** '' for kinds that editors know, and for those that are in no collection. */
export function schemaComment({ apiVersion, kind }: KubeObject): string {
  const [group = '', version = ''] = apiVersion.split('/')
  const hasSchema = /\.(fluxcd\.io|coreos\.com|victoriametrics\.com|integreatly\.org)$|^external-secrets\.io$/.test(
    group,
  )
  return hasSchema ? `yaml-language-server: $schema=${collection}/${group}/${kind.toLowerCase()}_${version}.json` : ''
}
