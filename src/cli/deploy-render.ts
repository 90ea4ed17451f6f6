/** `tercet deploy render`: a tree of files for Helm, Flux, compose or Grafana. */
import { engines, targets } from '#deploy/stack.ts'
import { readStackFile } from '#ops/stack-file.ts'
import { terminalOutput } from '#ops/output.ts'
import { outputFlag, stackFlag } from './common-flags.ts'
import { makeVerb, oneOf } from './verb.ts'

export const deployRender = makeVerb({
  name: 'deploy render',
  summary: 'Renders a tree of files for Helm, Flux, compose or Grafana, beside the files that are there.',
  flags: [
    { name: 'target', kind: targets, isRequired: true, help: 'What the tree is for.' },
    { name: 'engine', kind: engines, help: "What runs; without it the stack's own." },
    stackFlag,
    {
      name: 'secrets',
      kind: 'file',
      help: 'Secrets in clear, which are sealed for age_recipients; never rendered as they are.',
    },
    outputFlag,
  ],
  examples: [
    'tercet deploy render --engine=tercet --target=flux --config=stack.yaml --secrets=secrets.yaml -o .',
    'tercet deploy render --target=compose -o stack',
  ],
  async run(given) {
    const { renderStack } = await import('#ops/render.ts')
    await renderStack(
      {
        ...readStackFile(given.optional('config'), given.optional('engine')),
        target: oneOf(targets, given.text('target')),
        directory: given.text('output'),
        secretsPath: given.optional('secrets'),
      },
      terminalOutput,
    )
    return 0
  },
})
