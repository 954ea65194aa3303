// `moeline show model|hardware|recipe NAME`: exact parameter counts; facts with their sources.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.hpp"
#include "cli/scenario_flags.hpp"
#include "fit/calibration_file.hpp"
#include "reports/calibration_page.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"
#include "spec/llm.hpp"
#include "spec/recipe.hpp"
#include "units_text.hpp"

namespace moeline {
namespace {

std::string_view attention_name(const Attention& attention) {
  if (std::holds_alternative<LatentAttention>(attention)) return "multi-head latent";
  if (std::holds_alternative<GatedDeltaNet>(attention)) return "gated delta net";
  return "grouped-query";
}

Json layer_json(const ModelSpec& model, std::size_t kind) {
  const LayerKind& layer = model.kinds[kind];
  const LayerParameters p = layer_parameters(model, layer);
  Json json{{"count", std::count(model.layers.begin(), model.layers.end(), static_cast<int>(kind))},
            {"attention_kind", attention_name(layer.attention)},
            {"attention", p.attention}, {"norms", p.norms}, {"dense_ffn", p.dense_ffn}, {"expert", p.expert},
            {"experts", p.experts}, {"shared", p.shared}, {"router", p.router}, {"total", p.total()}};
  if (const MoeFfn* moe = std::get_if<MoeFfn>(&layer.ffn)) {
    json["expert_count"] = moe->experts;
    json["top_k"] = moe->top_k;
    json["expert_width"] = moe->width;
  }
  return json;
}

Json model_json(const ModelSpec& model) {
  const ModelParameters p = parameters(model);
  Json json{{"name", model.name}, {"family", model.family}, {"hidden", model.hidden}, {"vocabulary", model.vocabulary},
            {"layers", model.layers.size()}, {"stored", name(model.stored)}};
  json["parameters"] = Json{{"main", p.main},
                            {"active", p.active},
                            {"active_without_embedding", p.active_without_embedding},
                            {"active_without_embedding_and_head", p.active_without_embedding_and_head},
                            {"mtp", p.mtp},
                            {"mtp_unique", p.mtp_unique},
                            {"scales", p.scales},
                            {"checkpoint", p.checkpoint},
                            {"embedding", p.embedding},
                            {"head", p.head}};
  json["layer_kinds"] = Json::array();
  for (std::size_t kind = 0; kind < model.kinds.size(); ++kind) json["layer_kinds"].push_back(layer_json(model, kind));
  return json;
}

std::string model_table(const Json& json) {
  std::string out = fmt::format("{} ({}), {} layers, hidden {}, vocabulary {}\n", json["name"].get<std::string>(),
                                json["family"].get<std::string>(), json["layers"].get<int>(), json["hidden"].get<int>(),
                                json["vocabulary"].get<int>());
  for (const auto& item : json["parameters"].items()) {
    out += fmt::format("  {:<36}{:>22}\n", item.key(), format_count(item.value().get<std::int64_t>()));
  }
  for (const Json& kind : json["layer_kinds"]) {
    out += fmt::format("  {} x layer with {} attention\n", kind["count"].get<int>(), kind["attention_kind"].get<std::string>());
    for (const char* piece : {"attention", "norms", "dense_ffn", "expert", "experts", "shared", "router", "total"}) {
      const std::int64_t count = kind[piece].get<std::int64_t>();
      if (count > 0) out += fmt::format("    {:<34}{:>22}\n", piece, format_count(count));
    }
  }
  return out;
}

// Facts, one a line: pointer, value, source.
void fact_lines(const Json& json, const std::string& path, std::string& out) {
  if (json.is_object() && json.contains("value") && json.contains("source")) {
    const Json& value = json["value"];
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    out += fmt::format("  {:<42}{:<16}{}{}\n", path, text, json.value("inferred", false) ? "(inferred) " : "",
                       json["source"].get<std::string>());
  } else if (json.is_object() || json.is_array()) {
    for (const auto& item : json.items()) fact_lines(item.value(), path.empty() ? item.key() : path + "/" + item.key(), out);
  } else if (path != "name" && path != "title") {
    out += fmt::format("  {:<42}{}\n", path, json.is_string() ? json.get<std::string>() : json.dump());
  }
}

int show(const std::string& what, const std::string& name, const std::string& output) {
  const std::string where = "show " + what;
  if (what == "model") {
    const Document document = find_model(name, where);
    const Json json = model_json(read_model(document.json, document.origin, document.name));
    fmt::print("{}", output == "json" ? json.dump(2) + "\n" : model_table(json));
  } else if (what == "hardware") {
    const Document document = find_hardware(name, where);
    read_cluster(document.json, document.origin);  // says what is wrong with a profile of one's own
    std::string text = document.json.value("title", document.name) + "\n";
    fact_lines(document.json, "", text);
    fmt::print("{}", output == "json" ? document.json.dump(2) + "\n" : text);
  } else if (what == "calibration") {
    const Document document = find_calibration(name, where);
    std::string text;
    for (const FamilyFit& page : read_pages(document.json, document.origin)) text += page_text(page);
    fmt::print("{}", output == "json" ? document.json.dump(2) + "\n" : text);
  } else {
    const Recipe r = read_recipe(name, where);
    const Json json{{"name", r.name}, {"linear", moeline::name(r.linear)}, {"expert", moeline::name(r.expert)},
                    {"router", moeline::name(r.router)}, {"head", moeline::name(r.head)},
                    {"dispatch_wire", moeline::name(r.dispatch_wire)}, {"combine_wire", moeline::name(r.combine_wire)},
                    {"weight", moeline::name(r.weight)}, {"transposed_weight", r.transposed_weight}};
    std::string text;
    fact_lines(json, "", text);
    fmt::print("{}", output == "json" ? json.dump(2) + "\n" : r.name + "\n" + text);
  }
  return kAnswered;
}

}  // namespace

void add_show(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("show", "one model, machine or recipe in full");
  command->footer("Example: moeline show model deepseek-v3 -o json");
  auto what = std::make_shared<std::string>(), name = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>("table");
  take_one_of(command->add_option("what", *what, "what to show")->required(), {"model", "hardware", "recipe", "calibration"});
  command->add_option("name", *name, "a name from `moeline list`, or a path ending in .json")->required();
  take_one_of(command->add_option("-o,--output", *output, "how to write the answer; table if left out"), {"table", "json"});
  command->callback([=, &action] { action = [=] { return show(*what, *name, *output); }; });
}

}  // namespace moeline
