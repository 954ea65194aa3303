#include "cli/scenario_flags.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/asking.hpp"
#include "cli/commands.hpp"
#include "cli/reporting.hpp"

namespace moeline {
namespace {

// `train` asks about a step, `layer` about one layer: a training scenario tells a layer its tokens.
void ask_about(Json& scenario, const std::string& kind, const std::string& origin) {
  Json& workload = scenario["workload"];
  if (workload.is_null()) workload = Json{{"kind", kind}};
  if (!workload.is_object()) return;  // the reader will say so
  const Json given = workload.value("kind", Json(kind));
  if (given == kind) {
    workload["kind"] = kind;
  } else if (kind == "layer" && given == "train") {
    const Json micro_batch = workload.value("micro_batch", Json(1)), sequence = workload.value("sequence", Json(4096));
    if (!micro_batch.is_number_integer() || !sequence.is_number_integer() || micro_batch > 1 << 20 ||
        sequence > 1 << 26) {
      throw SpecError(origin + "#/workload", "micro_batch and sequence must be whole numbers of sensible size");
    }
    workload = Json{{"kind", "layer"},
                    {"tokens", micro_batch.get<std::int64_t>() * sequence.get<std::int64_t>()},
                    {"sequence", sequence}};
  } else if (given == "layer" || given == "serve") {
    throw SpecError(origin + "#/workload/kind", fmt::format("this scenario asks about \"{}\", the command about \"{}\"",
                                                            given.get<std::string>(), kind));
  }
}

}  // namespace

void take_one_of(CLI::Option* option, const std::vector<std::string>& names) {
  const auto check = [names](const std::string& value) -> std::string {
    if (std::find(names.begin(), names.end(), value) != names.end()) return "";
    return fmt::format("unknown value \"{}\"{}", value, did_you_mean(value, names));
  };
  option->check(CLI::Validator(check, fmt::format("{{{}}}", fmt::join(names, ","))));
}

void must_name_a_file(CLI::Option* option) {
  const auto check = [](const std::string& path) { return std::string(path.empty() ? "expected the name of a file" : ""); };
  option->check(CLI::Validator(check, ""));
}

void ScenarioFlags::add_to(CLI::App& command, const std::vector<std::string>& formats) {
  command.add_option("scenario", file, "scenario file (JSON); flags override what it says");
  command.add_option("--model", model, "a name from `moeline list models`, or the path of a config.json");
  command.add_option("--hardware", hardware, "a name from `moeline list hardware`, or the path of a profile");
  command.add_option("--devices", devices, "how many devices");
  command.add_option("--recipe", recipe, "a name from `moeline list recipes`");
  command.add_option("--parallel", parallel, "tp=1,pp=4,vpp=4,ep=64,etp=1,cp=1,dp=auto,zero=1");
  command.add_option("--routing", routing,
                     "balanced, uniform, power-law:1.2, zipf:1.0, dirichlet:0.5, overload:1.3 or file:PATH");
  command.add_option("--balancer", balancer, "none, aux_loss, loss_free, quantile, capacity, eplb or dynamic");
  command.add_option("--calibration", calibration,
                     "auto (the nearest carried one), none (datasheet bounds), NAME:LIBRARY, or a file written by `moeline fit`");
  command.add_option("--sequence", sequence, "tokens per sequence");
  command
      .add_option("--set", set, "POINTER=VALUE: any field, e.g. /hardware/device/hbm_bandwidth='6 TB/s'; repeatable")
      ->take_all()
      ->allow_extra_args(false);
  take_one_of(command.add_option("-o,--output", format, "how to write the answer; table if left out"), formats);
  add_report_to(command, report);
  command.add_flag("--quiet", quiet, "no warnings on stderr");
}

void ScenarioFlags::add_training_to(CLI::App& command) {
  command.add_option("--global-batch", global_batch, "sequences per optimiser step");
  command.add_option("--micro-batch", micro_batch, "sequences per micro-batch");
  command.add_option("--schedule", schedule, "gpipe, 1f1b, interleaved_1f1b, zb_h1, zb_h2, zb_v, dualpipe or dualpipe_v");
  command.add_option("--recompute", recompute, "auto (as little as fits), none, selective, full, per_op, or a list: mla_up_proj,moe_act");
}

void ScenarioFlags::add_serving_to(CLI::App& command) {
  command.add_option("--input-tokens", input_tokens, "of a request's prompt");
  command.add_option("--output-tokens", output_tokens, "of a request's answer");
  command.add_option("--concurrency", concurrency, "requests in flight, all replicas together");
  command.add_option("--request-rate", request_rate, "requests per second, instead of a fixed concurrency");
  command.add_option("--stack", stack, "trtllm, vllm or sglang");
  command.add_option("--kv-cache", kv_cache, "bf16 or fp8");
  command.add_flag("--attention-dp", attention_dp, "data-parallel attention: every rank has requests of its own");
}

void ScenarioFlags::add_trace_to(CLI::App& command) {
  must_name_a_file(command.add_option("--trace", trace, "writes when everything runs to this file, for Perfetto or chrome://tracing"));
}

void ScenarioFlags::add_layer_to(CLI::App& command) {
  command.add_option("--tokens", tokens, "tokens per device");
  command.add_option("--experts-backend", experts_backend,
                     "compare Hugging Face's code for the experts: eager, batched_mm, grouped_mm, deepgemm or all");
  command.add_option("--compile", compile, "of that code: none, default or max_autotune");
}

void ScenarioFlags::add_workload_to(CLI::App& command) {
  add_training_to(command);
  command.add_option("--tokens", tokens, "asks about one layer: tokens per device");
}

std::string ScenarioFlags::kind() const {
  if (tokens) return "layer";
  if (!file.empty()) return kind_asked(parse_json(read_file(file), file));
  const bool serves = input_tokens || output_tokens || concurrency || request_rate || !stack.empty() || !kv_cache.empty() || attention_dp;
  return serves ? "serve" : "train";
}

void ScenarioFlags::lay_over(Json& workload) const {
  const auto lay = [&](const char* key, const auto& value) {
    if (value) workload[key] = *value;
  };
  lay("sequence", sequence);
  lay("global_batch", global_batch);
  lay("micro_batch", micro_batch);
  lay("tokens", tokens);
  lay("input", input_tokens);
  lay("output", output_tokens);
  lay("concurrency", concurrency);
  lay("request_rate", request_rate);
  if (!stack.empty()) workload["stack"] = stack;
  if (!kv_cache.empty()) workload["kv_cache"] = kv_cache;
  if (attention_dp) workload["attention_dp"] = true;
  if (!experts_backend.empty()) workload["experts_backend"] = experts_backend;
  if (!compile.empty()) workload["compile"] = compile;
  if (!recompute.empty()) {
    const bool mode = recompute == "auto" || recompute == "none" || recompute == "selective" || recompute == "full" || recompute == "per_op";
    workload["recompute"] = mode ? Json(recompute) : Json(CLI::detail::split(recompute, ','));
  }
}

Json ScenarioFlags::scenario(const std::string& kind) const {
  Json json = file.empty() ? Json::object() : parse_json(read_file(file), file);
  if (!json.is_object()) throw SpecError(file, "expected an object {...}: a scenario");
  if (!model.empty()) json["model"] = model;
  if (!hardware.empty()) json["hardware"] = hardware;
  if (devices) json["devices"] = *devices;
  if (!recipe.empty()) json["recipe"] = recipe;
  if (!parallel.empty()) overlay(json["parallelism"], parse_parallelism_text(parallel, "--parallel"));
  if (!schedule.empty()) json["parallelism"]["schedule"] = schedule;
  if (!routing.empty()) json["routing"] = parse_routing_text(routing, "--routing");
  if (!balancer.empty()) json["routing"]["balancer"] = balancer;
  if (!calibration.empty()) json["calibration"] = calibration;
  ask_about(json, kind, origin());
  Json& workload = json["workload"];
  if (workload.is_object()) lay_over(workload);
  for (const std::string& change : set) set_field(json, change, origin());
  return json;
}

Format format_named(const std::string& name) {
  if (name == "json") return Format::json;
  if (name == "csv") return Format::csv;
  if (name == "md") return Format::markdown;
  return Format::table;
}

Format ScenarioFlags::output() const { return format_named(format); }

}  // namespace moeline
