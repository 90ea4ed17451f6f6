/** `tercet deploy migrate`: the plan for replacing another deployment. */
import { migrationSources } from '#deploy/migrate.ts'
import { engines } from '#deploy/stack.ts'
import { terminalOutput } from '#ops/output.ts'
import { readStackFile } from '#ops/stack-file.ts'
import { stackFlag } from './common-flags.ts'
import { makeVerb, oneOf } from './verb.ts'

export const deployMigrate = makeVerb({
  name: 'deploy migrate',
  summary: 'Prints the plan for replacing a deployment that is there.',
  flags: [
    { name: 'from', kind: migrationSources, isRequired: true, help: 'The deployment that is replaced.' },
    { name: 'engine', kind: engines, help: "What replaces it; without it the stack's own." },
    stackFlag,
    {
      name: 'objects',
      kind: 'file',
      help: 'A dump of the cluster (kubectl get servicemonitors,… -A -o yaml): names monitors that Helm will delete.',
    },
    {
      name: 'write',
      kind: 'text',
      placeholder: 'DIR',
      help: 'Comments the replaced applications out, in the tree of this directory.',
    },
  ],
  examples: ['tercet deploy migrate --from=kube-prometheus-stack --objects=monitors.yaml --write=.'],
  async run(given) {
    const { planMigration } = await import('#ops/migrate.ts')
    planMigration(
      {
        stack: readStackFile(given.optional('config'), given.optional('engine')).stack,
        source: oneOf(migrationSources, given.text('from')),
        objectsPath: given.optional('objects'),
        directory: given.optional('write'),
      },
      terminalOutput,
    )
    return 0
  },
})
