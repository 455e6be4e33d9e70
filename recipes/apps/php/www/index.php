<?php
// A guest book over HTTP: POST / with a name and a text, GET / as a page, GET /entries as JSON.
declare(strict_types=1);

$base = new PDO('sqlite:' . (getenv('GUESTBOOK') ?: '/tmp') . '/guestbook.db');
$base->exec('create table if not exists entries (name text, words text, day text)');

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $name = mb_convert_case(trim($_POST['name'] ?? ''), MB_CASE_TITLE, 'UTF-8');
    if ($name === '') {
        http_response_code(400);
        exit("who are you?\n");
    }
    $insert = $base->prepare('insert into entries values (?, ?, ?)');
    $insert->execute([$name, mb_strimwidth($_POST['words'] ?? '', 0, 20, '…', 'UTF-8'), gmdate('Y-m-d', 0)]);
    http_response_code(201);
    exit("thank you, $name\n");
}
$entries = $base->query('select * from entries')->fetchAll(PDO::FETCH_ASSOC);
if ($path === '/entries') {
    header('Content-Type: application/json');
    echo json_encode($entries, JSON_UNESCAPED_UNICODE), "\n";
    return;
}
$page = new DOMDocument('1.0', 'UTF-8');
$list = $page->appendChild($page->createElement('ul'));
foreach ($entries as $entry) {
    $item = $list->appendChild($page->createElement('li'));
    $item->appendChild($page->createTextNode("{$entry['name']}: {$entry['words']}"));
}
echo $page->saveHTML();
