/** Prints docs/configuration.md from the table of options: node tools/configuration-docs.ts > docs/configuration.md */
import { optionNames, optionOf } from '../src/app/options.ts'

console.log(`# Configuration

Defaults, then one file (\`--config=tercet.yaml\`), then the environment (\`TERCET_METRICS_RETENTION\`), then flags
(\`--metrics.retention=30d\`). \`\${NAME}\` in the file is the environment variable. Unknown keys and bad values are
errors with file, line and the nearest key. An unknown variable \`TERCET_…\` is a warning at the start, and those
that Kubernetes makes for a Service called \`tercet\` or \`tercet-…\` (\`TERCET_SERVICE_HOST\`) mean nothing. With
\`-envflag.enable\` the flags of VictoriaMetrics that are known are taken from variables too: \`VM_retentionPeriod\`
with \`-envflag.prefix=VM_\`.

| key | default | what |
|---|---|---|`)
for (const name of optionNames) {
  const { fallback, help } = optionOf(name)
  console.log(`| \`${name}\` | ${fallback === '' ? '' : `\`${fallback}\``} | ${help} |`)
}
