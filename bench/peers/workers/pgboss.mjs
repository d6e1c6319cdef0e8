// pg-boss: a partition of its own, batches of 500 in four workers. Third argument: `one` applies each job by itself,
// `set` the batch in one statement, `transactional` that statement and the completion in one transaction.
import { PgBoss } from 'pg-boss'
import pg from 'pg'
import { CONNECTIONS, LEASE_SECONDS, awaitShot, batches, columns, parameters, reportDrained, sql } from './shared.mjs'

const QUEUE = 'events'
const BATCH = 500
const WORKERS = 4
const LOOK_MILLIS = 10

const [, , role, argument, mode] = process.argv
const boss = new PgBoss({ max: CONNECTIONS, supervise: false, schedule: false, monitorIntervalSeconds: 1 })
boss.on('error', error => console.error(error))
await boss.start()

async function fill (file) {
  await boss.createQueue(QUEUE, { partition: true, expireInSeconds: LEASE_SECONDS })
  for (const events of batches(file)) await boss.insert(QUEUE, events.map(data => ({ data })))
}

async function work (effect) {
  const pool = new pg.Pool({ max: CONNECTIONS })
  const one = { name: 'one', text: sql(`${effect}_one`) }
  const set = { name: 'set', text: sql(`${effect}_set`) }
  const state = { running: 0, done: 0 }
  const apply = {
    one: jobs => Promise.all(jobs.map(job => pool.query(one, parameters(effect, job.data)))),
    set: jobs => pool.query(set, columns(effect, jobs.map(job => job.data))),
    transactional: (jobs, tx) => tx.executeSql(set.text, columns(effect, jobs.map(job => job.data)))
  }[mode]
  const handle = async (jobs, tx) => {
    state.running++
    await apply(jobs, tx)
    state.done += jobs.length
    state.running--
  }
  // What a dead worker holds is given back by the supervisor, which is off while measuring.
  await boss.supervise(QUEUE)
  const before = await progress(pool)
  await awaitShot()
  const options = { batchSize: BATCH, localConcurrency: WORKERS, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true }
  await boss.work(QUEUE, mode === 'transactional' ? { ...options, transactional: true } : options, handle)
  await drained(pool, before, state)
  reportDrained()
}

/** Completions are written after the handler returns: once no handler runs, ask the table. */
async function drained (pool, before, state) {
  for (;;) {
    await new Promise(resolve => setTimeout(resolve, LOOK_MILLIS))
    if (state.running > 0) continue
    const now = await progress(pool)
    if (state.running === 0 && now.ready === 0 && now.completed - before.completed >= state.done) return
  }
}

async function progress (pool) {
  const { rows } = await pool.query(sql('progress_pgboss'))
  return { ready: Number(rows[0].ready), completed: Number(rows[0].completed) }
}

await { fill, work }[role](argument)
process.exit(0)
