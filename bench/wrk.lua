-- Send each request of a file once. bench/load.py writes the file: the requests one after the other, all of one length.
local size, connections = tonumber(os.getenv("BENCH_REQUEST_BYTES")), tonumber(os.getenv("BENCH_CONNECTIONS"))
local requests = assert(io.open(os.getenv("BENCH_REQUESTS"), "rb"))
local first, idle = nil, 0

local function say(line)
    io.write(line, "\n")
    io.flush()
end

-- wrk asks for one request before it connects, only to look at it: the first connection gets the same one.
-- A connection that asks again has its answer. An empty request is never sent: that connection stays idle.
function request()
    if first == nil then
        first = requests:read(size)
        return first
    end
    if first then
        say("started")
    end
    local next_one = first or requests:read(size)
    first = false
    if next_one then
        return next_one
    end
    idle = idle + 1
    if idle == connections then
        say("answered")
    end
    return ""
end

function done(summary, latency)
    say(string.format(
        '{"answers": %d, "refused": %d, "p50": %d, "p99": %d, "p99.9": %d}',
        summary.requests, summary.errors.status + summary.errors.timeout,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)
    ))
end
