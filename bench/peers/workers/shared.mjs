// What the Node workers share; the same words as shared.py.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

// What a worker that died leaves is free for others after so long.
export const LEASE_SECONDS = Number(process.env.PEERS_LEASE_SECONDS ?? 900)
export const FILL_BATCH = 1000
export const CONNECTIONS = 10

export const sql = name => readFileSync(new URL(`../sql/${name}.sql`, import.meta.url), 'utf8')

export function * batches (file) {
  const events = readFileSync(file, 'utf8').trimEnd().split('\n').map(JSON.parse)
  for (let start = 0; start < events.length; start += FILL_BATCH) yield events.slice(start, start + FILL_BATCH)
}

export function parameters (effect, { data }) {
  if (effect === 'note') return [data.last_active_at_millis]
  return [
    data.id,
    data.display_name,
    data.primary_email,
    data.profile_image_url,
    data.server_metadata.role,
    data.server_metadata.department,
    data.last_active_at_millis
  ]
}

/** Turn the parameters of many events into one array a column. */
export function columns (effect, events) {
  const rows = events.map(event => parameters(effect, event))
  return rows[0].map((_, column) => rows.map(row => row[column]))
}

export async function awaitShot () {
  console.log('ready')
  for await (const _ of createInterface({ input: process.stdin })) return
}

export function reportDrained () {
  console.log('drained')
}
