<?php
// The guestbook's page. GUESTBOOK_TITLE, when it is set, is its title.
declare(strict_types=1);

header('X-Served-By: ' . gethostname());
$title = getenv('GUESTBOOK_TITLE') ?: 'Guestbook';
?>
<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title><?= htmlspecialchars($title) ?></title>
  <link rel="stylesheet" href="style.css">
</head>
<body>
  <h1><?= htmlspecialchars($title) ?></h1>
  <form id="entry">
    <input id="message" placeholder="Your message" aria-label="Your message" maxlength="200" autofocus>
    <button>Sign</button>
  </form>
  <p id="error" role="alert" hidden></p>
  <ol id="messages"></ol>
  <footer>Served by pod <code><?= htmlspecialchars((string) gethostname()) ?></code></footer>
  <script src="guestbook.js"></script>
</body>
</html>
