-- The script of every measurement with wrk. Arguments: method, status, tier or "-", files of paths and of the body.
-- With one path, wrk sends the same bytes again and again and reads no headers: only its own counts are returned.
-- With several paths, each thread takes every n-th one, in order, and each response is checked.

local threads = {}

function setup(thread)
   thread:set("number", #threads)
   thread:set("wrong", 0)
   threads[#threads + 1] = thread
end

function init(args)
   local expected_status, expected_tier = tonumber(args[2]), args[3]
   local paths = {}
   for line in io.lines(args[4]) do
      paths[#paths + 1] = line
   end
   wrk.method = args[1]
   local file = io.open(args[5], "rb")
   local body = file:read("*a")
   file:close()
   if #body > 0 then
      wrk.body = body
   end
   if #paths == 1 then
      wrk.path = paths[1]
      return
   end
   local thread_count, position = tonumber(args[6]), number
   request = function()
      local path = paths[position % #paths + 1]
      position = position + thread_count
      return wrk.format(nil, path)
   end
   response = function(status, headers)
      local tier = headers["x-mengla-source"] or headers["X-MengLa-Source"]
      if status ~= expected_status or (expected_tier ~= "-" and tier ~= expected_tier) then
         wrong = wrong + 1
      end
   end
end

function done(summary, latency)
   local wrong = 0
   for _, thread in ipairs(threads) do
      wrong = wrong + thread:get("wrong")
   end
   local errors = summary.errors
   io.write(string.format(
      "\nbench requests=%d microseconds=%d bytes=%d p50=%.0f p99=%.0f wrong=%d status=%d failed=%d\n",
      summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
      wrong, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
