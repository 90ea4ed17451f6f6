/**
 * A module that is loaded with `import()` and shares a chunk with others has a file of its own that exports its names
 * again. This plugin of Vite has them taken from the chunk itself, and leaves those files out.
 */

/** The part of Vite's plugins that is used here. */
interface OutputPlugin {
  name: string
  generateBundle(options: unknown, bundle: Record<string, Output>): void
}

type Output = { type: 'asset' } | { type: 'chunk'; fileName: string; isEntry: boolean; code: string }

/** `export { t as openS3 } from "./s3-wuXlyvY6.js";`, and nothing else. */
const facade = /^export \{ ([^}]*) \} from "\.\/([^"]+)";\s*$/

export function importDirectly(): OutputPlugin {
  return {
    name: 'direct-imports',
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle).filter(output => output.type === 'chunk')
      for (const { fileName, isEntry, code } of chunks) {
        const [, names, chunk] = (isEntry ? undefined : facade.exec(code)) ?? []
        if (names === undefined || chunk === undefined) continue
        const imported = `import("./${fileName}")`
        const direct = `import("./${chunk}").then((chunk) => (${namespaceOf(names)}))`
        for (const importer of chunks)
          if (importer.code.includes(imported)) importer.code = importer.code.replaceAll(imported, direct)
        delete bundle[fileName]
      }
    },
  }
}

/** `t as openS3, n as S3` is `{ openS3: chunk.t, S3: chunk.n }`. */
function namespaceOf(names: string): string {
  const fields = names.split(', ').map(name => {
    const [inside = '', outside = inside] = name.split(' as ')
    return `${outside}: chunk.${inside}`
  })
  return `{ ${fields.join(', ')} }`
}
