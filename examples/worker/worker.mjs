/** Takes jobs, and logs what becomes of them. `logger` is pino's. */
export class Worker {
  constructor(logger) {
    this.logger = logger
  }

  run(job) {
    this.logger.info({ job: job.id, kind: job.kind }, 'job taken')
    try {
      job.work()
      this.logger.info({ job: job.id, kind: job.kind }, 'job done')
    } catch (error) {
      this.logger.error({ job: job.id, kind: job.kind, err: error }, 'job failed')
    }
  }
}
