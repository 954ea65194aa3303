#include "spec/long_run.hpp"

#include <fmt/format.h>

#include "spec/json.hpp"

namespace moeline {
namespace {

template <Dimension D>
std::optional<Quantity<D>> given(ObjectReader& reader, std::string_view key) {
  reader.skip(key);
  return reader.has(key) ? std::optional(reader.quantity<D>(key)) : std::nullopt;
}

std::string text(Seconds time) { return fmt::format("{} s", time.in(second)); }

}  // namespace

LongRun read_long_run(ObjectReader reader) {
  LongRun run;
  run.tokens = reader.number_or("tokens", 0, 1e18, 0);
  run.device_mtbf = reader.quantity<Dimension{.second = 1}>("device_mtbf");
  run.restart = reader.quantity<Dimension{.second = 1}>("restart");
  run.checkpoint_bandwidth = given<Dimension{.second = -1, .byte = 1}>(reader, "checkpoint_bandwidth");
  run.checkpoint_time = given<Dimension{.second = 1}>(reader, "checkpoint_time");
  run.checkpoint_interval = given<Dimension{.second = 1}>(reader, "checkpoint_interval");
  if (run.checkpoint_bandwidth.has_value() == run.checkpoint_time.has_value()) {
    reader.fail("checkpoint_bandwidth", "give either this (of one device to storage) or checkpoint_time");
  }
  reader.finish();
  return run;
}

Json to_json(const LongRun& run) {
  Json json{{"tokens", run.tokens}, {"device_mtbf", text(run.device_mtbf)}, {"restart", text(run.restart)}};
  if (run.checkpoint_bandwidth) {
    json["checkpoint_bandwidth"] = fmt::format("{} B/s", run.checkpoint_bandwidth->in(byte_per_second));
  }
  if (run.checkpoint_time) json["checkpoint_time"] = text(*run.checkpoint_time);
  if (run.checkpoint_interval) json["checkpoint_interval"] = text(*run.checkpoint_interval);
  return json;
}

}  // namespace moeline
