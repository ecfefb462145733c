document.title = 'Movecast';
