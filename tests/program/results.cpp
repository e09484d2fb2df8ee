// What the program makes: pictures of the size that they had, and a report with the numbers that it promises.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "edit/image.hpp"
#include "edit/model.hpp"
#include "edit/synthetic.hpp"
#include "edit/tasks.hpp"
#include "program.hpp"

BOOST_AUTO_TEST_SUITE(results)

// One pixel; sides that are no multiple of the backbone's patches of 8, below and beyond its tiles of 64.
BOOST_AUTO_TEST_CASE(an_edited_picture_keeps_its_size) {
  const Scratch scratch;
  const edit::Image drawn = edit::draw_dead_leaves(3, 5, 80);
  for (const auto& [width, height, name] :
       {std::tuple{1, 1, "a.png"}, {13, 1, "b.jpg"}, {75, 53, "c.png"}, {7, 80, "D.JPEG"}}) {
    edit::save_image(scratch / name, edit::crop(drawn, 0, 0, width, height));
    const fs::path out = scratch / wu::message("edited ", name);
    const Ended ended = wu_edit(with(edit_arguments(out), "--image", scratch / name));
    BOOST_TEST_CONTEXT(name) {
      check_done(ended);
      const edit::Image edited = edit::load_image(out);
      BOOST_TEST(edited.width == width);
      BOOST_TEST(edited.height == height);
      BOOST_TEST((ended.out.find(wu::message(width, " x ", height)) != std::string::npos), ended.out);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_same_request_gives_the_same_picture_and_another_instruction_another) {
  const Scratch scratch;
  const auto edit = [&](const char* name, const std::string& words) {
    check_done(wu_edit(with(edit_arguments(scratch / name), "--instruction", words)));
    return bytes_of(scratch / name);
  };
  const std::string chinese = "\u8ba9\u7167\u7247\u53d8\u6697";  // "make the photo darker"
  const std::string first = edit("first.png", chinese);
  BOOST_TEST((edit("second.png", chinese) == first));
  BOOST_TEST((edit("third.png", "deblur this picture") != first));
}

BOOST_AUTO_TEST_CASE(the_result_may_take_the_place_of_the_picture) {
  const Scratch scratch;
  const fs::path picture = scratch / "picture.png";
  fs::copy_file(Pictures::get().one, picture);
  check_done(wu_edit(with(edit_arguments(picture), "--image", picture)));
  BOOST_TEST(edit::load_image(picture).width == 40);
  BOOST_TEST(scratch.entries() == 1);
}

BOOST_AUTO_TEST_CASE(a_report_holds_every_method_on_every_task) {
  const Scratch scratch;
  const fs::path folder = scratch / "a/b";  // folders that are missing are made
  const Ended ended = wu_edit(report_arguments(folder));
  check_done(ended);
  BOOST_TEST((ended.out.find((folder / "report.html").string()) != std::string::npos), ended.out);
  const auto files = contents(folder);
  BOOST_TEST(files.size() == 3u);

  const auto json = nlohmann::json::parse(files.at("results.json"));
  BOOST_TEST(json.at("train_seconds").get<double>() > 0);
  BOOST_TEST(json.at("steps").get<int>() == training_steps);
  BOOST_TEST(json.at("generator_parameters").get<long long>() == edit::Generator::parameter_count);
  BOOST_TEST(json.at("adapter_values").get<long long>() == edit::Tokens::adapter_values);
  const std::size_t samples = 2 * edit::held_out_phrases(edit::Task::blur).size();  // of the two pictures
  std::set<std::pair<std::string, std::string>> missing;
  for (const char* method : {"base", "pg", "pg_shuffle", "pg_wrong_image"})
    for (const edit::Task task : edit::tasks) missing.emplace(method, edit::name(task));
  std::map<std::string, double> source;  // by task
  for (const auto& row : json.at("rows")) {
    const std::string method = row.at("method"), task = row.at("task");
    BOOST_TEST_CONTEXT(method << " on " << task) {
      BOOST_TEST(missing.erase({method, task}) == 1u);
      BOOST_TEST(row.at("n").get<std::size_t>() == samples);
      const double psnr = row.at("psnr").get<double>(), ssim = row.at("ssim").get<double>();
      BOOST_TEST(psnr > 0);
      BOOST_TEST(psnr <= 99);
      BOOST_TEST(std::abs(ssim) <= 1);
      // All methods start from the same pictures.
      const double given = row.at("psnr_source").get<double>();
      BOOST_TEST(source.emplace(task, given).first->second == given);
    }
  }
  BOOST_TEST(missing.empty());

  edit::check(edit::load_image(folder / "report.png"));
  const std::string& page = files.at("report.html");
  BOOST_TEST(page.starts_with("<!DOCTYPE html>"));
  for (const edit::Task task : edit::tasks)
    BOOST_TEST((page.find(edit::name(task)) != std::string::npos), edit::name(task) << " is not on the page");
}

BOOST_AUTO_TEST_CASE(with_one_held_out_picture_there_is_no_row_of_wrong_pictures) {
  const Scratch scratch;
  const fs::path single = scratch / "single";
  fs::create_directory(single);
  fs::copy_file(Pictures::get().one, single / "one.png");
  check_done(wu_edit(with(report_arguments(scratch / "out"), "--held-out", single)));
  const std::string json = bytes_of(scratch / "out/results.json");
  BOOST_TEST((json.find("pg_shuffle") != std::string::npos));
  BOOST_TEST((json.find("pg_wrong_image") == std::string::npos));
}

BOOST_AUTO_TEST_SUITE_END()
