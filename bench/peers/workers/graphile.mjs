// graphile-worker with the settings of its own performance test: a local queue, completions written together.
import { makeWorkerUtils, runOnce, Logger } from 'graphile-worker'
import pg from 'pg'
import { CONNECTIONS, awaitShot, batches, parameters, reportDrained, sql } from './shared.mjs'

const JOBS = 24
const LOCAL_QUEUE = 500

const logger = new Logger(() => () => {})
const pgPool = new pg.Pool({ max: JOBS + 1 })

async function fill (file) {
  const utils = await makeWorkerUtils({ pgPool, logger })
  await utils.migrate()
  for (const events of batches(file)) {
    await utils.addJobs(events.map(payload => ({ identifier: 'apply', payload })))
  }
  await utils.release()
}

async function work (effect) {
  const effects = new pg.Pool({ max: CONNECTIONS })
  const statement = { name: 'apply', text: sql(`${effect}_one`) }
  const apply = event => effects.query(statement, parameters(effect, event)).then(() => {})
  const worker = {
    concurrentJobs: JOBS,
    maxPoolSize: JOBS + 1,
    localQueue: { size: LOCAL_QUEUE, refetchDelay: { durationMs: 10 } },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0
  }
  await awaitShot()
  await runOnce({ pgPool, taskList: { apply }, logger, noHandleSignals: true, preset: { worker } })
  reportDrained()
}

await { fill, work }[process.argv[2]](process.argv[3])
process.exit(0)
