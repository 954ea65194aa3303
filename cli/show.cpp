// `moeline show model|hardware|recipe NAME`: exact parameter counts; facts with their sources.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/asking.hpp"
#include "cli/commands.hpp"
#include "cli/scenario_flags.hpp"
#include "fit/calibration_file.hpp"
#include "fit/pages.hpp"
#include "reports/calibration_page.hpp"
#include "reports/records.hpp"
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
            {"attention", p.attention},
            {"norms", p.norms},
            {"dense_ffn", p.dense_ffn},
            {"expert", p.expert},
            {"experts", p.experts},
            {"shared", p.shared},
            {"router", p.router},
            {"total", p.total()}};
  if (const MoeFfn* moe = std::get_if<MoeFfn>(&layer.ffn)) {
    json["expert_count"] = moe->experts;
    json["top_k"] = moe->top_k;
    json["expert_width"] = moe->width;
  }
  return json;
}

Json model_json(const ModelSpec& model) {
  const ModelParameters p = parameters(model);
  Json json{{"name", model.name},
            {"family", model.family},
            {"hidden", model.hidden},
            {"vocabulary", model.vocabulary},
            {"layers", model.layers.size()},
            {"stored", name(model.stored)}};
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
    out += fmt::format("  {} x layer with {} attention\n", kind["count"].get<int>(),
                       kind["attention_kind"].get<std::string>());
    for (const char* piece : {"attention", "norms", "dense_ffn", "expert", "experts", "shared", "router", "total"}) {
      const std::int64_t count = kind[piece].get<std::int64_t>();
      if (count > 0) out += fmt::format("    {:<34}{:>22}\n", piece, format_count(count));
    }
  }
  return out;
}

// Facts, one a line: path, value, source.
std::string fact_lines(const Json& json) {
  std::string out;
  for (const Json& fact : facts(json)) {
    const std::string path = fact["path"].get<std::string>();
    if (path == "name" || path == "title") continue;
    const std::string source = fact["source"].get<std::string>(), value = fact["value"].get<std::string>();
    out += source.empty() ? fmt::format("  {:<42}{}\n", path, value)
                          : fmt::format("  {:<42}{:<16}{}{}\n", path, value,
                                        fact["inferred"].get<bool>() ? "(inferred) " : "", source);
  }
  return out;
}

// What is shown: as data, and as a page to read.
struct Shown {
  Json json;
  std::string page;
};

Shown shown_model(const std::string& name) {
  const Document document = find_model(name, "show model");
  Json json = model_json(read_model(document.json, document.origin, document.name));
  std::string page = model_table(json);
  return {std::move(json), std::move(page)};
}

Shown shown_hardware(const std::string& name) {
  const Document document = find_hardware(name, "show hardware");
  const Cluster cluster =
      read_cluster(document.json, document.origin);  // says what is wrong with a profile of one's own
  return {document.json, cluster.title + "\n" + fact_lines(document.json)};
}

Shown shown_calibration(const std::string& name) {
  const Document document = find_calibration(name, "show calibration");
  std::string page;
  for (const FamilyFit& fit : read_pages(document.json, document.origin)) page += page_text(fit);
  return {document.json, page};
}

Shown shown_recipe(const std::string& name) {
  const Recipe r = read_recipe(name, "show recipe");
  Json json{{"name", r.name},
            {"linear", moeline::name(r.linear)},
            {"expert", moeline::name(r.expert)},
            {"router", moeline::name(r.router)},
            {"head", moeline::name(r.head)},
            {"dispatch_wire", moeline::name(r.dispatch_wire)},
            {"gradient_wire", moeline::name(r.gradient_wire)},
            {"combine_wire", moeline::name(r.combine_wire)},
            {"weight", moeline::name(r.weight)},
            {"transposed_weight", r.transposed_weight},
            {"kernels", moeline::name(r.kernels)},
            {"scales", moeline::name(r.scales)},
            {"weights_made", moeline::name(r.weights_made)},
            {"maximum_pass", r.maximum_pass},
            {"both_ways", r.both_ways},
            {"fused_activation", r.fused_activation},
            {"fused_permute", r.fused_permute},
            {"quantised_dispatch", r.quantised_dispatch},
            {"megakernel", r.megakernel}};
  std::string page = r.name + "\n" + fact_lines(json);
  const auto operand = [](const Operand& o) {
    return fmt::format("{} {}{}", o.tensor, moeline::name(o.format),
                       o.direction == "-" ? "" : fmt::format(" by {}", o.direction));
  };
  json["products"] = Json::array();
  for (const Product& product : products(r)) {
    page += fmt::format("  {:<14} {:<6} {:<32} x {}\n", product.layer, product.name, operand(product.left),
                        operand(product.right));
    Json entry{{"layer", product.layer}, {"product", product.name}};
    for (const auto& [side, o] : {std::pair{"left", product.left}, std::pair{"right", product.right}}) {
      entry[side] =
          Json{{"tensor", o.tensor}, {"format", moeline::name(o.format)}, {"direction", o.direction}, {"made", o.made}};
    }
    json["products"].push_back(entry);
  }
  return {std::move(json), std::move(page)};
}

int show(const std::string& what, const std::string& name, Format format) {
  const Shown shown = what == "model"         ? shown_model(name)
                      : what == "hardware"    ? shown_hardware(name)
                      : what == "calibration" ? shown_calibration(name)
                                              : shown_recipe(name);
  switch (format) {
    case Format::table:
      print_folded(shown.page);
      break;
    case Format::json:
      fmt::print("{}\n", shown.json.dump(2));
      break;
    case Format::csv:
      fmt::print("{}", records_csv(facts(shown.json)));
      break;
    case Format::markdown:
      fmt::print("{}", records_markdown(facts(shown.json)));
      break;
  }
  return kAnswered;
}

}  // namespace

void add_show(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("show", "one model, machine or recipe in full");
  command->footer("Example: moeline show model deepseek-v3 -o json");
  auto what = std::make_shared<std::string>(), name = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>("table");
  take_one_of(command->add_option("what", *what, "what to show")->required(),
              {"model", "hardware", "recipe", "calibration"});
  command->add_option("name", *name, "a name from `moeline list`, or a path ending in .json")->required();
  take_one_of(command->add_option("-o,--output", *output, "how to write the answer; table if left out"),
              {"table", "json", "csv", "md"});
  command->callback([=, &action] { action = [=] { return show(*what, *name, format_named(*output)); }; });
}

}  // namespace moeline
