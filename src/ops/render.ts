/** `tercet deploy render`: the tree of a stack, in a directory. */
import { namespacePath } from '#deploy/flux.ts'
import { render } from '#deploy/render.ts'
import type { Target } from '#deploy/stack.ts'
import type { Output } from './output.ts'
import { keepForeign, ownChart, writeTree } from './render-tree.ts'
import { sealerFor } from './sealed-secrets.ts'
import type { StackFile } from './stack-file.ts'

export interface RenderOptions extends StackFile {
  target: Target
  directory: string
  /** A file of Secrets in clear. */
  secretsPath: string | undefined
}

/** Throws BadDataError where a foreign file would be overwritten. */
export async function renderStack(options: RenderOptions, { out, err }: Output): Promise<void> {
  const { stack, text, target, directory, secretsPath } = options
  const { tree, warnings } = await render({
    stack,
    target,
    ownChart: ownChart(),
    seal: sealerFor(stack, directory, secretsPath),
    configText: text,
  })
  const namespaces = target === 'flux' ? [...new Set([stack.namespace, stack.grafana.namespace])] : []
  const places = namespaces.map(namespace => namespacePath(stack, namespace))
  const shared = places.flatMap(path => [`${path}/kustomization.yaml`, `${path}/namespace.yaml`])
  for (const path of places) if (tree.has(`${path}/kustomization.yaml`)) keepForeign(directory, tree, path)
  const { written, removed } = writeTree(directory, tree, shared)
  for (const { name, text: sentence } of warnings) err(`warning ${name}: ${sentence}`)
  out(
    `${tree.size} files for ${stack.engine} as ${target} in ${directory}: ${written} written, ` +
      `${tree.size - written} as they were${removed === 0 ? '' : `, ${removed} of before removed`}`,
  )
}
