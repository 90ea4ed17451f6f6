/** Where nothing has arrived yet: a demo that shows what all of this looks like with data. */
const command = 'npx tercet demo'

export function DemoOffer() {
  return (
    <section class="panel" aria-label="Demo">
      <h2>Nothing has arrived yet</h2>
      <p>
        To see what it looks like with data, run the demo beside this process: a small shop of three services that sends
        traces, logs and metrics, with a deploy that goes wrong every ten minutes, the alert that fires, and the
        rollback.
      </p>
      <pre tabIndex={0}>{command}</pre>
      <div class="row">
        <button
          aria-label="Copy the command of the demo"
          onClick={() => {
            void navigator.clipboard?.writeText(command)
          }}
        >
          Copy
        </button>
        <span class="dim">
          It has a directory and a port of its own, prints where to look, and leaves nothing behind. To send your own
          data here, see below.
        </span>
      </div>
    </section>
  )
}
