/** `tercet deploy`: what a stack is deployed with. */
import { makeVerb } from './verb.ts'

export const deploy = makeVerb({
  name: 'deploy',
  summary:
    'Renders what the stack is deployed with, from one file (stack.yaml; docs/deploying.md), and what belongs to it.',
  flags: [],
  examples: ['tercet deploy render --engine=tercet --target=flux --config=stack.yaml -o .'],
  verbs: {
    render: async () => (await import('./deploy-render.ts')).deployRender,
    seal: async () => (await import('./deploy-seal.ts')).deploySeal,
    unseal: async () => (await import('./deploy-unseal.ts')).deployUnseal,
    'check-secrets': async () => (await import('./deploy-check-secrets.ts')).deployCheckSecrets,
    'bootstrap-s3': async () => (await import('./deploy-bootstrap-s3.ts')).deployBootstrapS3,
    migrate: async () => (await import('./deploy-migrate.ts')).deployMigrate,
    graduate: async () => (await import('./deploy-graduate.ts')).deployGraduate,
  },
})
